"""Speech modulation: how much a sound moves as speech does, from 0 to 1.

A VAD lets music and much noise through. What sets speech apart is how its spectrum moves: from vowel to fricative to closure
and back, a few syllables a second. Steady sounds do not move, music holds its notes, and noise jitters from frame to frame.

A window is measured in stretches of 1 s that begin every 32 frames, each stretch by itself. So the measurement of a stretch
is used again in every later window that contains it. Measuring needs no weights. The weights that tell speech from other
sound come with the bundle, and `voxface.training.trainers.speech_modulation` fits them.
"""

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import PROVISIONAL, STRIDE
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.features.log_mel import FrameWindow

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
CEPSTRA: Final = 6  # 1 to 6: the tilt of a spectrum, and shapes as wide as formants
STEP: Final = 20  # frames, 0.2 s: a syllable
STRETCH: Final = 100  # frames of a modulation spectrum: 1 s, so that its bins are 1 Hz wide
SYLLABIC: Final = (3, 6)  # Hz, first and last bin; speech has its peak there (Houtgast & Steeneken 1985)
RANGE: Final = (
    8.0  # natural logarithm of power, 35 dB, below the loudest tenth of a stretch: what is fainter is background
)
SHORTEST: Final = 30  # frames: less is no syllable
_HANNING: Final = np.hanning(STRETCH)


class Stretch(NamedTuple):
    """Measurements of a stretch: how far its cepstra move, the energy of their modulation at 3 to 6 Hz, and at 1 to 50 Hz."""

    change: float
    syllabic: float
    modulation: float


class RunningSpeechModulation:
    """The speech modulation of the windows of one stream in turn; each stretch is measured once."""

    def __init__(self) -> None:
        self._first = 0  # number of the first frame of the newest window
        self._known: list[Stretch] = []
        self._movement: Movement | None = None  # of all known stretches

    def measure(self, window: FrameWindow) -> Movement | None:
        """`measurable_movement` of a window's frames, bit for bit; all but the last `PROVISIONAL` of them are final."""
        first, frames = window.first, window.frames
        if window.final < STRETCH:
            return measurable_movement(frames)
        gone, aside = divmod(first - self._first, STRIDE)
        begins = _begins(window.final)
        if not gone and not aside and len(begins) == len(self._known):
            return self._movement
        self._first, self._known = first, self._known[gone:] if not aside else []
        for begin in begins[len(self._known) :]:
            self._known.append(measure(frames[begin : begin + STRETCH]))
        self._movement = movement_of(self._known)
        return self._movement


def speech_modulation(log_mel: Float32, weights: SpeechModulationWeights) -> float:
    """How much log-mel frames float32 [T, mels] move as speech does, 0 to 1; 0 for less than `SHORTEST` frames."""
    return modulation_score(measurable_movement(log_mel), weights)


def modulation_score(found: Movement | None, weights: SpeechModulationWeights) -> float:
    """How much a movement resembles that of speech, 0 to 1; 0 where there was too little to measure."""
    if found is None:
        return 0.0
    change, syllables = found.change - weights.centre.change, found.syllables - weights.centre.syllables
    return logistic(weights.bias + weights.weight.change * change + weights.weight.syllables * syllables)


def measurable_movement(log_mel: Float32) -> Movement | None:
    """The movement of log-mel frames float32 [T, mels]; None for less than `SHORTEST` frames."""
    return None if len(log_mel) < SHORTEST else movement(log_mel)


def movement(log_mel: Float32) -> Movement:
    """The movement of log-mel frames float32 [T, mels], T ≥ `SHORTEST`, before normalisation; loudness has no influence."""
    return movement_of([measure(log_mel[begin : begin + STRETCH]) for begin in _begins(len(log_mel) - PROVISIONAL)])


def movement_of(stretches: list[Stretch]) -> Movement:
    """The movement of several stretches together."""
    change, syllabic, modulation = (sum(column) for column in zip(*stretches, strict=True))
    return Movement(math.log(change / len(stretches) + 1e-3), syllabic / max(modulation, 1e-9))


def _begins(final: int) -> range:
    """Where the stretches of a window with so many final frames begin; a window that is too short has one all the same."""
    return range(0, max(0, final - STRETCH) + 1, STRIDE)


def measure(stretch: Float32) -> Stretch:
    """Measures a stretch, or a shorter piece, float32 [t, mels], `STEP` < t ≤ `STRETCH`."""
    tenth = len(stretch) * 9 // 10
    shape = cepstra(stretch, float(np.partition(stretch.max(1), tenth)[tenth]))
    moved = shape[1:, STEP:] - shape[1:, :-STEP]
    far = np.sqrt(np.einsum("kt,kt->t", moved, moved))
    return Stretch(float(np.add.reduce(far)) / len(far) / math.sqrt(len(moved)), *modulation(shape))


def cepstra(log_mel: Float32, loud: float) -> Float64:
    """Cepstra 1 to 6, float64 [6, t], of frames float32 [t, mels]; bins more than `RANGE` below `loud` are raised to there."""
    levelled = np.maximum(log_mel, np.float32(loud - RANGE))
    shape: Float64 = (levelled @ _cosines(log_mel.shape[1])).T.astype(np.float64)
    return shape


def modulation(tracks: Float64) -> tuple[float, float]:
    """Energy at 3 to 6 Hz and at 1 to 50 Hz in the spectra of tracks [k, t], t ≤ 100, sampled at 100 Hz.

    Each track loses its mean and is multiplied by a Hann window; a track shorter than 1 s is repeated. The second energy
    follows from Parseval's theorem: the sum over all bins holds 0 Hz and 50 Hz once and the bins between them twice.
    """
    if tracks.shape[1] < STRETCH:
        tracks = tracks[:, np.arange(STRETCH) % tracks.shape[1]]
    tracks = (tracks - np.add.reduce(tracks, 1, keepdims=True) / STRETCH) * _HANNING
    found = tracks @ _waves()
    still, fastest, *syllabic = np.einsum("kw,kw->w", found, found).tolist()
    return sum(syllabic), (STRETCH * float(np.einsum("kt,kt->", tracks, tracks)) - still + fastest) / 2


def logistic(score: float) -> float:
    """1 / (1 + e^-score), for scores of any size."""
    return 1 / (1 + math.exp(-min(50.0, max(-50.0, score))))


@lru_cache(maxsize=4)
def _cosines(mels: int) -> Float32:
    """The vectors of the orthonormal DCT-II that give cepstra 1 to 6: float32 [mels, CEPSTRA]."""
    place = (np.arange(mels) + 0.5) / mels
    columns: Float64 = np.sqrt(2 / mels) * np.cos(np.pi * place[:, None] * np.arange(1, CEPSTRA + 1))
    return columns.astype(np.float32)


@lru_cache(maxsize=1)
def _waves() -> Float64:
    """The waves of the bins at 0 Hz, 50 Hz and 3 to 6 Hz, the latter real and imaginary: float64 [STRETCH, 10]."""
    syllabic = range(SYLLABIC[0], SYLLABIC[1] + 1)
    angle = 2 * np.pi / STRETCH * np.arange(STRETCH)[:, None]
    return np.concatenate([np.cos(angle * [0, STRETCH // 2, *syllabic]), np.sin(angle * [*syllabic])], 1)
