"""Normalisation of log-mel frames, of a whole signal and of a sliding window. A bundle says which of the two kinds its encoder
learnt with:

* "bands" (Wen 2019): each mel bin has mean 0 and deviation 1. Level and microphone are gone, and with them the long-term
  spectrum, in which much of a voice lies.
* "level": all bins together have mean 0, in units of `LEVEL_UNIT`. Only the level is gone.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.features.log_mel import FrameWindow

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
LEVEL_UNIT: Final = 3.0  # nats, about the deviation of speech's log-mel values
_SUMMED = 1024  # frames summed at once in single precision: a longer sum would lose small values
_EPSILON = np.finfo(np.float32).eps


def normalise(frames: Float32, how: str = "bands") -> Float32:
    """Frames float32 [T, mels] normalised: each mel bin minus its mean and divided by its population standard deviation, or all
    minus their common mean (`how`, one of `NORMALISATIONS`)."""
    if how == "level":
        level: Float32 = frames - _level(frames)
        level *= np.float32(1 / LEVEL_UNIT)
        return level
    centred: Float32 = frames - frames[0]  # bins that never change, as in digital silence, become exactly zero
    parts = [slice(at, at + _SUMMED) for at in range(0, len(frames), _SUMMED)]
    centred -= sum(np.add.reduce(centred[part], 0) for part in parts) / np.float32(len(frames))
    squares = sum(np.einsum("tm,tm->m", centred[part], centred[part]) for part in parts)
    centred *= 1 / (np.sqrt(squares / np.float32(len(frames))) + _EPSILON)
    return centred


def network_input(frames: Float32, shortest: int = FrontEndConfig.shortest, how: str = "bands") -> Float32:
    """The voice encoder's input: frames [T, mels] normalised, and repeated to float32 [1, mels, max(T, shortest)]."""
    count = len(frames)
    whole = np.empty((1, frames.shape[1], max(count, shortest)), np.float32)
    out, level = whole[0], how == "level"
    out[:, :count] = (frames if level else normalise(frames, how)).T
    for first in range(count, out.shape[1], count):
        part = out[:, first : first + count]
        part[:] = out[:, : part.shape[1]]
    if level:  # here, where it needs no memory of its own; the same bits as `normalise`
        out -= _level(frames)
        out *= np.float32(1 / LEVEL_UNIT)
    return whole


def _level(frames: Float32) -> np.float32:
    """The mean of all numbers of frames float32 [T, mels]."""
    sums = [float(np.add.reduce(frames[at : at + _SUMMED], None)) for at in range(0, len(frames), _SUMMED)]
    return np.float32(sum(sums) / frames.size)


BLOCK_FRAMES: Final = 32


class RunningNormalisation:
    """The mean and deviation that normalise the windows of one stream, from sums of whole blocks of frames.

    A window costs a few rows instead of all of its frames. The sums of a block are computed from its frames once, and dropped
    with the block. Nothing is ever subtracted from a sum, so rounding errors do not add up, however long the stream.
    """

    def __init__(self, mels: int, how: str = "bands") -> None:
        self._how = how
        self._first = 0  # block
        self._sums: Float64 = np.empty((0, 2, mels))  # of frames, and of their squares
        self._levels: list[float] = []  # of frames, over all bins

    def measure(self, window: FrameWindow) -> tuple[Float64, Float64]:
        """What to subtract from a window's frames and what to divide them by: their mean and population standard deviation,
        float64 [mels] each; or the level and its unit, float64 [] each. `first` may rise by any number.
        """
        if self._how == "level":
            return np.array(self._level(window)), np.array(LEVEL_UNIT)
        return self._measure(window)

    def _level(self, window: FrameWindow) -> float:
        first, frames, final = window.first, window.frames, window.final
        begin, end = -(-first // BLOCK_FRAMES), (first + final) // BLOCK_FRAMES  # whole blocks
        if begin >= end:
            return _total(frames) / frames.size
        known = min(len(self._levels), max(0, begin - self._first))
        self._levels, self._first = self._levels[known:], begin if known == len(self._levels) else self._first + known
        for block in range(self._first + len(self._levels), end):
            at = block * BLOCK_FRAMES - first
            self._levels.append(_total(frames[at : at + BLOCK_FRAMES]))
        edges = _total(frames[: begin * BLOCK_FRAMES - first]) + _total(frames[end * BLOCK_FRAMES - first :])
        return (math.fsum(self._levels) + edges) / frames.size

    def _measure(self, window: FrameWindow) -> tuple[Float64, Float64]:
        first, frames, final = window.first, window.frames, window.final
        begin, end = -(-first // BLOCK_FRAMES), (first + final) // BLOCK_FRAMES  # whole blocks
        if begin >= end:
            return _mean_and_deviation(_sums(frames), len(frames))
        known = min(len(self._sums), max(0, begin - self._first))
        self._sums, self._first = self._sums[known:], begin if known == len(self._sums) else self._first + known
        fresh = self._first + len(self._sums)
        if fresh < end:
            blocks = frames[fresh * BLOCK_FRAMES - first : end * BLOCK_FRAMES - first].reshape(
                end - fresh, BLOCK_FRAMES, -1
            )
            wide = blocks.astype(np.float64)
            self._sums = np.concatenate([self._sums, np.stack([wide.sum(1), (wide**2).sum(1)], 1)])
        edges = _sums(frames[: begin * BLOCK_FRAMES - first]) + _sums(frames[end * BLOCK_FRAMES - first :])
        return _mean_and_deviation(self._sums.sum(0) + edges, len(frames))


def _total(frames: Float32) -> float:
    """The sum of all numbers of frames float32 [T, mels]; most windows begin with a whole block and have none before it."""
    return float(np.add.reduce(frames, None, np.float64)) if len(frames) else 0.0


def _sums(frames: Float32) -> Float64:
    wide = frames.astype(np.float64)
    return np.stack([wide.sum(0), (wide**2).sum(0)])


def _mean_and_deviation(sums: Float64, count: int) -> tuple[Float64, Float64]:
    mean, square = sums / count
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))
