"""Speaker embeddings of a second or two of speech, by a small network on log-mel frames; used for comparison only.

The network needs neither the bundle's voice encoder nor the mean of the window, which two voices in one window share. Its
layers come with the bundle and are trained by `voxface.training.trainers.speaker_embedding`.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.speaker_change import FRAMES, Layers
from voxface.runtime.features.log_mel import FrameWindow

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
STRIDE: Final = 3  # frames between its steps
DILATION: Final = 2  # steps between the taps of the third layer
SEEN: Final = FRAMES + STRIDE * 2 * (1 + DILATION)  # frames a step of the last layer has seen
LEAST_VARIANCE: Final = 1e-4


@dataclass(frozen=True)
class SpeakerEmbeddingNetwork:
    """The network.

    Attributes:
        layers: weight float32 [taps × in, out] and bias float32 [out] of each.
    """

    layers: Layers

    @property
    def mels(self) -> int:
        """Number of mel bins that the network takes."""
        return len(self.layers[0][0]) // FRAMES

    @property
    def width(self) -> int:
        """Numbers of one step."""
        return len(self.layers[-2][1])

    @cached_property
    def _shifted(self) -> tuple[tuple[Float32, Float32], ...]:
        """Weight and floor of each layer but the last, and weight and bias of the last.

        A layer computes max(x, floor) with floor = -bias, which is max(x + bias, 0) - bias. The next layer's bias takes up the
        difference, so that adding biases is saved. The weight of the first layer also subtracts the mean of each frame over its
        mel bins, and with it the loudness.
        """
        (first, lacking), *others = self.layers
        taps = first.reshape(FRAMES, self.mels, -1)
        shifted = [((taps - taps.mean(1, keepdims=True)).reshape(FRAMES * self.mels, -1), -lacking)]
        for weight, bias in others[:-1]:
            lacking = bias + np.tile(lacking, len(weight) // len(lacking)) @ weight
            shifted.append((weight, -lacking))
        weight, bias = others[-1]
        return *shifted, (weight, bias + lacking @ weight[: len(lacking)])

    def steps(self, log_mel: Float32) -> Float32:
        """One row for every `STRIDE` frames of log-mel float32 [T, mels], T ≥ `SEEN`; it sees `SEEN` frames from there on."""
        (first, a), (second, b), (third, c), (fourth, d) = self._shifted[:4]
        x = _rows(np.ascontiguousarray(log_mel), FRAMES, STRIDE) @ first
        np.maximum(x, a, out=x)
        x = _rows(x, 3, 1) @ second
        np.maximum(x, b, out=x)
        x = np.concatenate([x[: -2 * DILATION], x[DILATION:-DILATION], x[2 * DILATION :]], 1) @ third
        np.maximum(x, c, out=x)
        x = x @ fourth
        return np.maximum(x, d, out=x)

    def voices(self, *lots: Float32) -> Float32:
        """A speaker embedding of each lot of rows of `steps`, float32 [lots, E]; only the direction has a meaning."""
        both = [np.concatenate([steps, steps * steps], 1) for steps in lots]
        return self.voices_of(np.stack([moments.mean(0, np.float64) for moments in both]))

    def disagreement(self, one: Float32, other: Float32) -> float:
        """1 - cosine of the speaker embeddings of two lots of steps, 0 to 2."""
        return apart(self.voices(one, other))

    def voices_of(self, moments: Float64) -> Float32:
        """The speaker embeddings of lots of which the means are known: float64 [lots, 2 width], of their steps, and of the
        squares of these; changed."""
        weight, bias = self._shifted[-1]
        mean, spread = moments[:, : self.width], moments[:, self.width :]
        spread -= mean * mean
        np.maximum(spread, LEAST_VARIANCE, out=spread)
        np.sqrt(spread, out=spread)
        voices: Float32 = moments.astype(np.float32) @ weight
        voices += bias
        return voices


def apart(voices: Float32) -> float:
    """1 - cosine of two speaker embeddings float32 [2, E], 0 to 2."""
    (first, both), (_, second) = (voices @ voices.T).tolist()
    return 1.0 - float(both / math.sqrt(first * second))


@lru_cache(maxsize=256)
def _means(one: int, other: int) -> Float64:
    """What makes the means of `one` and of `other` rows of the sums before and behind them: float64 [2, 4]."""
    return np.array([[-1 / one, 1 / one, 0, 0], [0, 0, -1 / other, 1 / other]])


def _rows(x: Float32, taps: int, stride: int) -> Float32:
    """Every `stride` rows of contiguous x, `taps` rows side by side as one; no copy, and numpy checks the bounds."""
    shape = (len(x) - taps) // stride + 1, taps * x.shape[1]
    return np.ndarray(shape, x.dtype, x, 0, (stride * x.strides[0], x.itemsize))


class RunningSpeakerEmbedding:
    """Compares the voices in windows of one stream in turn. Each step of the network is computed once.

    Steps begin at multiples of `STRIDE` frames, counted from the beginning of the stream.
    """

    def __init__(self, speaker_embedding: SpeakerEmbeddingNetwork) -> None:
        self._network = speaker_embedding
        self._first = 0  # number of the first known step
        self._known = 0  # number of known steps
        self._place = 0  # row before the first
        # The sums of the steps up to each, and of their squares, so that a mean takes two rows and not all between them; with
        # room, so that they are moved to the front seldom.
        self._rows: Float64 = np.empty((0, 2 * speaker_embedding.width))

    def disagreement(self, window: FrameWindow, newest: int, compared: int) -> float:
        """How far the newest speech is from the speech before it, 0 to 2, see `SpeakerEmbeddingNetwork.disagreement`.

        Args:
            window: the frames; `first` may rise by any number.
            newest: number of frames at the end that are compared with those before.
            compared: the most frames before them that are used.
        """
        first, frames, final = window.first, window.frames, window.final
        end = first + len(frames)
        begin = -(-max(first, end - newest - compared) // STRIDE)
        known = max(0, self._first + self._known - begin) if begin >= self._first else 0
        place = self._place + begin - self._first if known else 0
        rest = frames[(begin + known) * STRIDE - first :]
        fresh = max(0, (len(rest) - SEEN) // STRIDE + 1)
        count = known + fresh
        if place + count >= len(self._rows):
            place = self._make_room(place, known, count)
        if not known:
            self._rows[place] = 0
        if fresh:
            self._compute(rest, self._rows[place + known : place + count + 1])
        self._first, self._place = begin, place
        self._known = max(0, min(count, (first + final - SEEN) // STRIDE + 1 - begin))
        before, after = (end - newest - SEEN) // STRIDE + 1 - begin, -(-(end - newest) // STRIDE) - begin
        sums = self._rows.take((place, place + before, place + after, place + count), 0)
        return apart(self._network.voices_of(_means(before, count - after) @ sums))

    def _compute(self, frames: Float32, rows: Float64) -> None:
        """Puts the sums of further steps behind the first of `rows`."""
        steps, width = self._network.steps(frames), self._network.width
        rows[1:, :width] = steps
        np.multiply(steps, steps, out=rows[1:, width:])
        for place in range(1, len(rows)):  # they are few, and nothing else needs `numpy.add.accumulate`
            rows[place] += rows[place - 1]

    def _make_room(self, place: int, known: int, count: int) -> int:
        """Moves the sums of the known steps, which begin anew, from row `place` to the first row; returns 0."""
        rows = self._rows if 2 * count < len(self._rows) else np.empty((3 * count, self._rows.shape[1]))
        if known:
            rows[: known + 1] = self._rows[place : place + known + 1] - self._rows[place]
        self._rows = rows
        return 0
