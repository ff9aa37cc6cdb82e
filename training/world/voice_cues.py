"""What a voice tells of the speaker's size: pitch and the length of the vocal tract.

The tract is taken for a tube closed at one end, whose resonances are F_i = (2i - 1) · c / 4L; its length follows from the
formants that are least moved by the vowel, the third and the fourth (Wakita 1977; Fitch 1997).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.voicing import FRAME, LONGEST_LAG, PERIODIC, SHORTEST_LAG, periodicity

SPEED_OF_SOUND = 35_000.0  # cm/s in warm, moist air
_ORDER = 18
_STEP = 320


@dataclass(frozen=True)
class VoiceCues:
    """Cues of one recording.

    Attributes:
        f0_hz: median pitch of its periodic frames.
        tract_cm: vocal-tract length by its third and fourth formant.
    """

    f0_hz: float
    tract_cm: float


def voice_cues(samples: NDArray[np.int16]) -> VoiceCues:
    """Measures the cues of speech int16 [n] at 16 kHz.

    Raises:
        ValueError: fewer than ten periodic frames.
    """
    if len(samples) < FRAME:
        raise ValueError(f"{len(samples)} samples are too few to measure a voice")
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::_STEP].astype(np.float64)
    loud = frames.std(1)
    frames = frames[(periodicity(frames) > max(PERIODIC, 0.7)) & (loud > 0.3 * np.median(loud))]
    if len(frames) < 10:
        raise ValueError(f"only {len(frames)} frames of the speech are periodic")
    pitches = np.array([_pitch(frame) for frame in frames])
    thirds = [formants for frame in frames if (formants := _upper_formants(frame)) is not None]
    third, fourth = np.median(np.array(thirds or [(2500.0, 3500.0)]), axis=0)
    tract = SPEED_OF_SOUND / 4 * (5 / third + 7 / fourth) / 2
    return VoiceCues(float(np.median(pitches)), float(tract))


def _pitch(frame: NDArray[np.float64]) -> float:
    centred = frame - frame.mean()
    correlation = np.correlate(centred, centred, "full")[FRAME - 1 :]
    lags = np.arange(SHORTEST_LAG, LONGEST_LAG + 1)
    normal = correlation[lags] * FRAME / (FRAME - lags)
    # The shortest lag nearly as good as the best: a period, not two of them.
    good = np.flatnonzero(normal >= 0.9 * normal.max())
    first = int(good[0])
    while first + 1 < len(lags) and normal[first + 1] > normal[first]:
        first += 1
    return float(16_000 / lags[first])


def _upper_formants(frame: NDArray[np.float64]) -> tuple[float, float] | None:
    """F3 and F4 in Hz by linear prediction up to 5.5 kHz, None where they do not show."""
    emphasised = np.append(frame[0], frame[1:] - 0.97 * frame[:-1]) * np.hamming(len(frame))
    # Down to 11 kHz by dropping the spectrum above: five formants in range, as the order expects.
    spectrum = np.fft.rfft(emphasised)
    low = np.fft.irfft(spectrum[: FRAME * 11 // 32 + 1], FRAME * 11 // 16)
    correlation = np.correlate(low, low, "full")[len(low) - 1 :]
    matrix = correlation[np.abs(np.subtract.outer(np.arange(_ORDER - 6), np.arange(_ORDER - 6)))]
    try:
        coefficients = np.linalg.solve(matrix, correlation[1 : _ORDER - 5])
    except np.linalg.LinAlgError:
        return None
    roots = np.roots(np.append(1.0, -coefficients))
    roots = roots[roots.imag > 0]
    hz = np.angle(roots) * 11_000 / (2 * np.pi)
    width = -np.log(np.abs(roots)) * 11_000 / np.pi
    formants = np.sort(hz[(hz > 200) & (hz < 5200) & (width < 500)])
    upper = formants[formants > 1900]
    third = upper[(upper > 2000) & (upper < 3500)]
    if len(formants) < 4 or len(third) == 0:
        return None
    fourth = upper[(upper > third[0] + 400) & (upper < 4900)]
    return (float(third[0]), float(fourth[0])) if len(fourth) else None
