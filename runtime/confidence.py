"""How far an estimate can be trusted: whether it was speech at all, how far the voice agrees with itself, and how long.

A VAD lets music and much noise through, and the encoder finds them as consistent as a voice, so the agreement of embeddings
says nothing about that. What sets speech apart is how its spectrum moves: from vowel to fricative to closure and back, a
few syllables a second. Steady sounds do not move, music holds its notes, and noise jitters from frame to frame.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

CEPSTRA: Final = 6  # 1 to 6: the tilt of a spectrum, and shapes as wide as formants
STEP: Final = 20  # frames, 0.2 s: a syllable
WINDOW: Final = 100  # frames of a modulation spectrum: 1 s, so that its bins are 1 Hz wide
SYLLABIC: Final = (3, 6)  # Hz, first and last bin; speech has its peak there (Houtgast & Steeneken 1985)
LOUD: Final = 0.9  # quantile of the frames' peaks that counts as loud
RANGE: Final = 8.0  # natural logarithm of power, 35 dB, below the loud frames: what is fainter is background
HOP: Final = 25  # frames from one such window to the next
SHORTEST: Final = 30  # frames: less is no syllable

_HANNING: Final = np.hanning(WINDOW)
# Frames, and rows of modulation windows, in one matrix product: so small that no BLAS shares it among threads, which would
# have to wake up and then wait in a loop. It bounds memory on long clips too.
_FRAMES: Final = 512
_ROWS: Final = 240


@dataclass(frozen=True)
class Movement:
    """How the shape of a spectrum, its cepstra, moves over a stretch of sound.

    Attributes:
        change: logarithm of how far cepstra 2 to 6 move in 0.2 s (root mean square of the five, mean over time). The first
            is left out, since every drum moves it.
        syllables: share of 3 to 6 Hz in the modulation energy, 1 to 50 Hz, of cepstra 1 to 6.
    """

    change: float
    syllables: float


# Logistic regression on `Movement`, fitted by `python -m benchmarks.confidence --fit` to LibriSpeech's training speakers
# (clean, cut short, noisy, in a room) against synthetic music and noise.
CENTRE: Final = Movement(1.132, 0.357)
WEIGHT: Final = Movement(6.587, 14.14)
BIAS: Final = 1.215


def movement(log_mel: Float32, peaks: Float32 | None = None) -> Movement:
    """Measures log-mel frames float32 [T, mels], T ≥ `SHORTEST`, before normalisation; not how loud they are. `peaks`: the
    highest bin of each, float32 [T], where they are known already."""
    shape = cepstra(log_mel, quantile(log_mel.max(1) if peaks is None else peaks, LOUD))
    return movement_of(float(changes(shape).mean()), modulation(shape))


def cepstra(log_mel: Float32, loud: float) -> Float64:
    """Cepstra 1 to 6, float64 [6, T], of frames float32 [T, mels]; what is fainter than `loud` by `RANGE` is levelled."""
    floor, cosines = np.float32(loud - RANGE), _cosines(log_mel.shape[1])
    shape = np.empty((CEPSTRA, len(log_mel)))
    for first in range(0, len(log_mel), _FRAMES):
        levelled = np.maximum(log_mel[first : first + _FRAMES], floor)
        shape[:, first : first + _FRAMES] = (levelled @ cosines).T
    return shape


def changes(shape: Float64) -> Float64:
    """How far cepstra 2 to 6 of [6, T] move in 0.2 s from each frame on, float64 [T - STEP]."""
    moved = shape[1:, STEP:] - shape[1:, :-STEP]
    far: Float64 = np.einsum("kt,kt->t", moved, moved)
    far /= len(moved)
    np.sqrt(far, out=far)
    return far


def movement_of(change: float, energy: Float64) -> Movement:
    """Movement from the mean of `changes` and `modulation`."""
    syllabic, whole = energy.tolist()
    return Movement(math.log(change + 1e-3), syllabic / max(whole, 1e-9))


def modulation(tracks: Float64) -> Float64:
    """Energy float64 [2] of tracks [k, T] sampled at 100 Hz, at 3 to 6 Hz and at 1 to 50 Hz: that of the modulation spectrum,
    summed over tracks and over windows of 1 s, each without its mean; what is shorter is repeated up to one window.

    The whole is Parseval's sum: of all bins but 0 Hz, of which those up to 50 Hz are one half, and 50 Hz itself twice.
    """
    if tracks.shape[1] < WINDOW:
        tracks = tracks[:, np.arange(WINDOW) % tracks.shape[1]]
    tracks = np.ascontiguousarray(tracks, np.float64)
    energy = np.zeros(2)
    count, at_once = (tracks.shape[1] - WINDOW) // HOP + 1, _ROWS // len(tracks)
    for first in range(0, count, at_once):
        # Overlapping windows without a copy; numpy checks that they lie within.
        shape, step = (len(tracks), min(at_once, count - first), WINDOW), tracks.itemsize
        windows = np.ndarray(shape, tracks.dtype, tracks, first * HOP * step, (tracks.strides[0], HOP * step, step))
        part = windows - np.add.reduce(windows, 2, keepdims=True) / WINDOW
        part *= _HANNING
        rows = part.reshape(-1, WINDOW)
        found = rows @ _waves()
        still, fastest, *syllabic = np.einsum("rk,rk->k", found, found).tolist()
        whole = WINDOW * float(np.einsum("rt,rt->", rows, rows))
        energy += sum(syllabic), (whole - still + fastest) / 2
    return energy


def likeness(log_mel: Float32, peaks: Float32 | None = None) -> float:
    """How much log-mel frames float32 [T, mels] move as speech does, 0 to 1; 0 for what is too short to tell. `peaks`: see
    `movement`."""
    if len(log_mel) < SHORTEST:
        return 0.0
    return likeness_of(movement(log_mel, peaks))


def likeness_of(found: Movement) -> float:
    """How much a movement is that of speech, 0 to 1."""
    change, syllables = found.change - CENTRE.change, found.syllables - CENTRE.syllables
    return logistic(BIAS + WEIGHT.change * change + WEIGHT.syllables * syllables)


def logistic(score: float) -> float:
    """1 / (1 + e^-score), for scores of any size."""
    return 1 / (1 + math.exp(-min(50.0, max(-50.0, score))))


def agreement(columns: Float32) -> float:
    """How far a voice agrees with itself, 0 to 1.

    The encoder's columns [E, C], one each 0.32 s, are dealt into two hands by turns of three; the result is (1 + c) / 2 for
    the cosine c between the means of the hands. One column alone has nothing to agree with.
    """
    count = columns.shape[1]
    if count < 2:
        return 0.0
    hands = np.einsum("ec,ch->he", columns, _hands(count))
    (one, together), (_, other) = (hands @ hands.T).tolist()
    cosine = float(together / (math.sqrt(one * other) + 1e-12))
    return max(0.0, min(1.0, (1 + cosine) / 2))


def confidence(columns: Float32, log_mel: Float32, voiced_seconds: float) -> float:
    """How far an embedding can be trusted, 0 to 1: likeness to speech × √(agreement × t / (1 s + t)).

    Args:
        columns: the encoder's, float32 [E, C], of the speech itself.
        log_mel: its frames float32 [T, mels] before normalisation.
        voiced_seconds: t, its length.
    """
    return confidence_of(likeness(log_mel), columns, voiced_seconds)


def confidence_of(like: float, columns: Float32, voiced_seconds: float) -> float:
    """The same from a likeness that is known already."""
    return like * math.sqrt(agreement(columns) * voiced_seconds / (voiced_seconds + 1.0))


def quantile(values: Float32, share: float) -> float:
    """`numpy.quantile` of float32 [n], bit for bit: that one takes ten times as long, and loads `numpy.ma` the first time."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, (below, above))
    low, high, part = ordered[below], ordered[above], place - below
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))


@lru_cache(maxsize=4)
def _cosines(mels: int) -> Float32:
    """The columns of the orthonormal DCT-II that give cepstra 1 to 6: float32 [mels, CEPSTRA]."""
    place = (np.arange(mels) + 0.5) / mels
    columns: Float64 = np.sqrt(2 / mels) * np.cos(np.pi * place[:, None] * np.arange(1, CEPSTRA + 1))
    return columns.astype(np.float32)


@lru_cache(maxsize=1)
def _waves() -> Float64:
    """Of a window, the bins at 0 and 50 Hz and, real and imaginary, those of the syllables: float64 [WINDOW, 10]."""
    syllabic = range(SYLLABIC[0], SYLLABIC[1] + 1)
    angle = 2 * np.pi / WINDOW * np.arange(WINDOW)[:, None]
    return np.concatenate([np.cos(angle * [0, WINDOW // 2, *syllabic]), np.sin(angle * [*syllabic])], 1)


@lru_cache(maxsize=256)
def _hands(count: int) -> Float32:
    """Which of two hands each of `count` columns is dealt to, by turns of three; float32 [count, 2] of zeros and ones."""
    turn = (np.arange(count) // 3 if count >= 6 else np.arange(count)) % 2
    return np.stack([turn == 0, turn == 1], 1).astype(np.float32)
