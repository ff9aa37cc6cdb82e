"""Cues of a speaker's size in a voice: pitch and the length of the vocal tract.

The tract is modelled as a tube closed at one end, with resonances F_i = (2i - 1) · c / 4L (Wakita 1977; Fitch 1997). The
numbers of a frame's formants are unknown, and in high voices the second formant of one vowel can lie where the third of another
does. Therefore the length is estimated from all formants of all frames together, as the most probable one under a mixture: each
formant is either one of the resonances, with a spread by vowels that is large for the lower and small for the higher ones, or
an outlier with uniform density.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.features.periodicity import FRAME, LONGEST_LAG, PERIODIC, SHORTEST_LAG, periodicity

SPEED_OF_SOUND: Final = 35_000.0  # cm/s in warm, moist air
_STEP: Final = 320
_RATE: Final = 12_000  # Hz; five or six formants lie below half of it
_ORDER: Final = 14  # of linear prediction
_LOWEST, _HIGHEST, _WIDEST = 300.0, 5300.0, 500.0  # Hz; formants outside this range, or wider, are ignored
_SPREAD: Final = (0.3, 0.25, 0.09, 0.05, 0.05, 0.05)  # sd of F1 … F6 about their resonances, natural logarithm
_ASTRAY: Final = 0.3  # share of outliers
_LENGTHS: Final = np.arange(11.5, 20.5, 0.05)  # cm, candidates
_USUAL: Final = (16.0, 1.3)  # cm, mean and standard deviation of adults
_WORTH: Final = 30  # effective number of independent formants at most, because those of a voice are correlated

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class VoiceCues:
    """Cues of one recording.

    Attributes:
        f0_hz: median pitch of the periodic frames.
        tract_cm: vocal-tract length estimated from the formants.
    """

    f0_hz: float
    tract_cm: float


def measure_voice_cues(samples: NDArray[np.int16]) -> VoiceCues:
    """Measures the cues of speech int16 [n] at 16 kHz.

    Raises:
        ValueError: fewer than ten periodic frames, or fewer than ten formants.
    """
    if len(samples) < FRAME:
        raise ValueError(f"{len(samples)} samples are too few to measure a voice")
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::_STEP].astype(np.float64)
    loud = frames.std(1)
    frames = frames[(periodicity(frames) > max(PERIODIC, 0.7)) & (loud > 0.3 * np.median(loud))]
    if len(frames) < 10:
        raise ValueError(f"only {len(frames)} frames of the speech are periodic")
    pitches = np.array([_pitch(frame) for frame in frames])
    formants = np.concatenate([_formants(frame) for frame in frames])
    if len(formants) < 10:
        raise ValueError(f"only {len(formants)} formants in the speech")
    return VoiceCues(float(np.median(pitches)), _tract(formants))


def _pitch(frame: NDArray[np.float64]) -> float:
    centred = frame - frame.mean()
    correlation = np.correlate(centred, centred, "full")[FRAME - 1 :]
    lags = np.arange(SHORTEST_LAG, LONGEST_LAG + 1)
    normal = correlation[lags] * FRAME / (FRAME - lags)
    # The shortest lag nearly as good as the best, so that two periods are not taken for one.
    good = np.flatnonzero(normal >= 0.9 * normal.max())
    first = int(good[0])
    while first + 1 < len(lags) and normal[first + 1] > normal[first]:
        first += 1
    return float(16_000 / lags[first])


def _formants(frame: Float64) -> Float64:
    """Formants of a frame in Hz, by linear prediction."""
    emphasised = np.append(frame[0], frame[1:] - 0.97 * frame[:-1]) * np.hamming(len(frame))
    # Resampled to 12 kHz by cutting the spectrum.
    count = FRAME * _RATE // 16_000
    low = np.fft.irfft(np.fft.rfft(emphasised)[: count // 2 + 1], count)
    correlation = np.correlate(low, low, "full")[count - 1 :]
    lags = np.arange(_ORDER)
    matrix = correlation[np.abs(np.subtract.outer(lags, lags))] + 1e-9 * correlation[0] * np.eye(_ORDER)
    try:
        coefficients = np.linalg.solve(matrix, correlation[1 : _ORDER + 1])
    except np.linalg.LinAlgError:
        return np.empty(0)
    roots = np.roots(np.append(1.0, -coefficients))
    roots = roots[roots.imag > 0]
    hz = np.angle(roots) * _RATE / (2 * np.pi)
    width = -np.log(np.abs(roots)) * _RATE / np.pi
    return np.asarray(hz[(hz > _LOWEST) & (hz < _HIGHEST) & (width < _WIDEST)])


def _tract(formants: Float64) -> float:
    """The most probable length in cm of a tract with formants [n] in Hz."""
    axis = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), 200)
    extent = float(axis[-1] - axis[0])
    seen, whole = np.zeros((len(_LENGTHS), len(formants))), np.zeros(len(_LENGTHS))
    for number, spread in enumerate(_SPREAD, 1):
        resonance = np.log((2 * number - 1) * SPEED_OF_SOUND / (4 * _LENGTHS))[:, None]
        seen += np.exp(-0.5 * ((np.log(formants) - resonance) / spread) ** 2) / spread
        # Densities are normalised over the visible range, so that resonances outside it do not count against a length.
        whole += extent * (np.exp(-0.5 * ((axis - resonance) / spread) ** 2) / spread).mean(1)
    density = (1 - _ASTRAY) * seen / whole[:, None] + _ASTRAY / extent
    likelihood = np.log(density).mean(1) * min(len(formants), _WORTH)
    likelihood -= 0.5 * ((_LENGTHS - _USUAL[0]) / _USUAL[1]) ** 2
    return float(_LENGTHS[likelihood.argmax()])
