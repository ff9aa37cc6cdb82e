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
_AT_ONCE: Final = 256  # frames, or modulation windows: bounds memory on long clips


@dataclass(frozen=True)
class Movement:
    """How the shape of a spectrum, its cepstra, moves over a stretch of sound.

    Attributes:
        change: logarithm of how far cepstra 2 to 6 move in 0.2 s (root mean square of the five, mean over time). The first
            is left out, since every drum moves it.
        syllables: share of 3 to 6 Hz in the modulation spectrum, 1 to 50 Hz, of cepstra 1 to 6.
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
    return movement_of(float(changes(shape).mean()), modulation_spectrum(shape))


def cepstra(log_mel: Float32, loud: float) -> Float64:
    """Cepstra 1 to 6, float64 [T, 6], of frames float32 [T, mels]; what is fainter than `loud` by `RANGE` is levelled."""
    levelled, cosines = np.maximum(log_mel, np.float32(loud - RANGE)), _cosines(log_mel.shape[1])
    # Products so small that no BLAS shares them among threads, which would have to wake up and then wait in a loop.
    parts = [levelled[first : first + _AT_ONCE] @ cosines for first in range(0, len(levelled), _AT_ONCE)]
    shape: Float64 = np.concatenate(parts, dtype=np.float64)
    return shape


def changes(shape: Float64) -> Float64:
    """How far cepstra 2 to 6 of [T, 6] move in 0.2 s from each frame on, float64 [T - STEP]."""
    moved = shape[STEP:, 1:] - shape[:-STEP, 1:]
    far: Float64 = np.sqrt(np.einsum("tk,tk->t", moved, moved) / moved.shape[1])
    return far


def movement_of(change: float, power: Float64) -> Movement:
    """Movement from the mean of `changes` and a modulation spectrum float64 [51]."""
    syllables = power[SYLLABIC[0] : SYLLABIC[1] + 1].sum() / max(float(power[1:].sum()), 1e-9)
    return Movement(math.log(change + 1e-3), float(syllables))


def modulation_spectrum(tracks: Float64) -> Float64:
    """Power float64 [51] at 0 to 50 Hz of tracks [T, k] sampled at 100 Hz, summed over them and over windows of 1 s, each
    without its mean; what is shorter is repeated up to one window."""
    if len(tracks) < WINDOW:
        tracks = np.resize(tracks, (WINDOW, tracks.shape[1]))
    rows = np.ascontiguousarray(tracks.T, np.float64)
    count = (rows.shape[1] - WINDOW) // HOP + 1
    power = np.zeros(WINDOW // 2 + 1)
    for first in range(0, count, _AT_ONCE):
        # Overlapping windows without a copy; numpy checks that they lie within.
        shape, step = (len(rows), min(_AT_ONCE, count - first), WINDOW), rows.itemsize
        windows = np.ndarray(shape, rows.dtype, rows, first * HOP * step, (rows.strides[0], HOP * step, step))
        part = windows - windows.mean(2, keepdims=True)
        part *= _HANNING
        parts = np.fft.rfft(part).view(np.float64).reshape(-1, 2 * len(power))  # real and imaginary side by side
        parts *= parts
        sums = parts.sum(0)
        power += sums[::2] + sums[1::2]
    return power


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


@lru_cache(maxsize=256)
def _hands(count: int) -> Float32:
    """Which of two hands each of `count` columns is dealt to, by turns of three; float32 [count, 2] of zeros and ones."""
    turn = (np.arange(count) // 3 if count >= 6 else np.arange(count)) % 2
    return np.stack([turn == 0, turn == 1], 1).astype(np.float32)
