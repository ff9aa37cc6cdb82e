"""Whether somebody else speaks: the newest speech of the window against the rest of it.

The voice encoder says most of it; it sees features without their mean, so the mean spectrum of the loud frames says more.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.front_end import Speech

Float32 = NDArray[np.float32]

HOP: Final = 160  # samples a frame
COLUMN: Final = 32  # frames
NEWEST: Final = 150  # frames, 1.5 s
BEFORE: Final = 250  # frames that are needed to compare with
LOUD: Final = 5.0  # natural logarithm of power below the loudest tenth: fainter frames are background
STEADY: Final = 3  # estimates in a row that must agree

# Logistic regression, fitted to LibriSpeech's training speakers: one after another, against one alone
# (benchmarks/speaker_change.py --fit). On the disagreement of embeddings, on loudness, and on cepstra 1 to 12.
DISAGREEMENT: Final = 5.942
LOUDNESS: Final = 0.977
CEPSTRA: Final = (0.048, 0.315, 0.207, 0.171, 0.235, 0.603, 0.479, -0.084, 0.701, 1.009, 0.585, 0.225)
BIAS: Final = -9.322
THRESHOLD: Final = 2.0  # the highest at which 80 % of changes between training speakers are noticed in 2 s


@dataclass(frozen=True)
class Change:
    """Another speaker.

    Attributes:
        voiced: samples of speech in the window before the new speaker's.
        score: the evidence; above 0 where there is enough.
    """

    voiced: int
    score: float


class SpeakerWatch:
    """Judges windows of one stream in turn."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._agreed = 0

    def restart(self) -> None:
        """Another speaker's window begins."""
        self._agreed = 0

    def judge(self, speech: Speech, columns: Float32, peaks: Float32 | None = None) -> Change | None:
        """Compares the two parts of a window; see `differences`."""
        if len(speech.log_mel) < NEWEST + BEFORE:
            self._agreed = 0
            return None
        found = evidence(differences(speech.log_mel, columns, peaks)) - self._threshold
        self._agreed = self._agreed + 1 if found > 0 else 0
        if self._agreed < STEADY:
            return None
        # What has come since the first of the agreeing estimates is the new speaker's too.
        return Change(max(0, speech.voiced_samples - NEWEST * HOP), found)


def differences(log_mel: Float32, columns: Float32, peaks: Float32 | None = None) -> NDArray[np.float64]:
    """How the newest 1.5 s of a window differ from the rest, float64 [14]: 1 - cosine of the embeddings, loudness, cepstra.

    Args:
        log_mel: float32 [T, mels], T > `NEWEST`, before normalisation.
        columns: float32 [E, C] of the same window, the voice encoder's.
        peaks: float32 [T], the highest of each frame, if they are known; then loud frames are added up in single precision.
    """
    count = round(NEWEST / COLUMN)
    one, other = columns[:, :-count].mean(1), columns[:, -count:].mean(1)
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))
    if peaks is None:
        parts = [_mean_spectrum(part) for part in (log_mel[:-NEWEST], log_mel[-NEWEST:])]
    else:
        parts = [_fast_mean_spectrum(log_mel[part], peaks[part]) for part in (slice(-NEWEST), slice(-NEWEST, None))]
    (loud, spectrum), (new_loud, new_spectrum) = parts
    place = (np.arange(log_mel.shape[1]) + 0.5) / log_mel.shape[1]
    cosines = np.sqrt(2 / len(place)) * np.cos(np.pi * np.arange(1, len(CEPSTRA) + 1)[:, None] * place)
    cepstra = np.abs(cosines @ (new_spectrum - spectrum))
    return np.concatenate([[1 - cosine, min(abs(new_loud - loud), 3.0)], cepstra])


def evidence(found: NDArray[np.float64]) -> float:
    """The logarithm of how much likelier differences float64 [14] are with another speaker than without."""
    return BIAS + float(np.dot((DISAGREEMENT, LOUDNESS, *CEPSTRA), found))


def _mean_spectrum(log_mel: Float32) -> tuple[float, NDArray[np.float64]]:
    """How loud the loudest tenth is, and the mean of the loud frames without its own mean."""
    peaks = log_mel.max(1)
    loud = float(np.quantile(peaks, 0.9))
    mean = log_mel[peaks > loud - LOUD].mean(0, dtype=np.float64)
    return loud, mean - mean.mean()


def _fast_mean_spectrum(log_mel: Float32, peaks: Float32) -> tuple[float, NDArray[np.float64]]:
    """The same to six digits, as a product of a vector and a matrix: a long window costs hardly more than a short one."""
    loud = float(np.quantile(peaks, 0.9))
    heard = peaks > loud - LOUD
    mean = (heard.astype(np.float32) @ log_mel).astype(np.float64) / np.count_nonzero(heard)
    return loud, mean - mean.mean()
