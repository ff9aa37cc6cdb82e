"""Log-mel spectrogram of the `wen2019` front end, the same bits offline and streaming, and windows of its frames.

`FrameComputer` serves both: a stream hands it the frames that became complete, and at the end the tail. Published voice
encoders were trained on this front end with its peculiarities: samples at int16 scale; pre-emphasis in which the "previous
sample" of a frame is the last sample of the frame before it, although frames overlap; a tail that repeats samples. Leaving
them out changes normalised features by up to about 3.
"""

from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_SILENCE = np.zeros(1, np.int16)
_BLOCK = 16  # frames computed at once, so few that intermediate results stay in the processor's cache


class FrameWindow(NamedTuple):
    """Neighbouring log-mel frames of the speech of one stream.

    Windows that follow one another in a stream keep a contract: `first` never falls, and for one speaker it rises by multiples
    of `STRIDE` (32 frames, the step between two frame embeddings of the voice encoder). So whatever is computed every 32
    frames stands at the same places of the stream as in the window before, and what is known of a place is used again.

    Attributes:
        first: number of the first frame, counted from 0 over all speech of the stream.
        frames: float32 [T, mels], before normalisation.
        final: how many of the frames, from the first, are the same in every later window that holds them. The frames after
            them, at most `PROVISIONAL`, repeat the newest samples and change when the sound goes on.
    """

    first: int
    frames: Float32
    final: int

    @classmethod
    def whole(cls, frames: Float32) -> Self:
        """All frames float32 [T, mels] of a stream that has ended."""
        return cls(0, frames, len(frames))


def mel_filters(config: FrontEndConfig) -> Float64:
    """Triangular mel filters float64 [fft/2 + 1, mels]; each has area 1 over frequency in Hz."""
    edges = config.edges()
    hz = config.sample_rate / config.fft
    filters = np.zeros((config.fft // 2 + 1, config.mels))
    rising = {n: np.linspace(0, 1, n + 1) for n in set(np.diff(edges).tolist())}  # many filters share a width
    falling = {n: np.linspace(1, 0, n + 1) for n in rising}
    for m, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2.0 / ((right - left) * hz)
        filters[left : centre + 1, m] = height * rising[centre - left]
        filters[centre : right + 1, m] = height * falling[right - centre]
    return filters


class FrameComputer:
    """Computes log-mel frames from windows of samples. It reuses its working memory, so each stream needs its own.

    The result of a frame does not depend on the other frames of the call. That rules out a matrix product, whose rounding
    changes with its number of rows.
    """

    def __init__(self, config: FrontEndConfig) -> None:
        self.config = config
        self._hamming = np.hamming(config.window)
        self._bins, self._weights, self._starts = _filter_runs(config)
        self._samples = np.empty((_BLOCK, config.window))
        self._emphasised = np.empty_like(self._samples)
        self._spectrum = np.empty((_BLOCK, config.fft // 2 + 1), np.complex128)
        self._power = np.empty(self._spectrum.shape)
        self._weighted = np.empty((_BLOCK, len(self._bins)))
        self._mel = np.empty((_BLOCK, config.mels))

    def __call__(self, windows: NDArray[np.int16], before: NDArray[np.int16]) -> Float32:
        """Log-mel float32 [k, mels] of windows int16 [k, window]; `before` int16 [k] precedes each window's first sample."""
        out = np.empty((len(windows), self.config.mels), np.float32)
        for first in range(0, len(windows), _BLOCK):
            last = first + _BLOCK
            self._block(windows[first:last], before[first:last], out[first:last])
        return out

    def _block(self, windows: NDArray[np.int16], before: NDArray[np.int16], out: Float32) -> None:
        k = len(windows)
        x, y, power, weighted, mel = (
            array[:k] for array in (self._samples, self._emphasised, self._power, self._weighted, self._mel)
        )
        x[:] = windows
        np.multiply(x[:, :-1], -self.config.preemphasis, out=y[:, 1:])
        np.multiply(before, -self.config.preemphasis, out=y[:, 0])
        y += x
        y *= self._hamming
        # The real and imaginary parts lie side by side, so one product squares both.
        parts = np.fft.rfft(y, self.config.fft, out=self._spectrum[:k]).view(np.float64)
        parts *= parts
        np.add(parts[:, ::2], parts[:, 1::2], out=power)
        power.take(self._bins, axis=1, out=weighted, mode="clip")  # any other mode copies `out`
        weighted *= self._weights
        np.add.reduceat(weighted, self._starts, axis=1, out=mel)
        np.maximum(mel, self.config.floor, out=mel)
        out[:] = np.log(mel, out=mel)


@lru_cache(maxsize=4)
def _filter_runs(config: FrontEndConfig) -> tuple[NDArray[np.intp], Float64, NDArray[np.intp]]:
    """The mel filters as segments of one row of (power × weight): the bins of a filter are neighbours.

    Returns the bin and the weight of each place of the row, and the place where each filter begins.
    """
    filters = mel_filters(config)
    runs = [np.flatnonzero(column) for column in filters.T]
    weights = np.concatenate([filters[run, m] for m, run in enumerate(runs)])
    return np.concatenate(runs), weights, np.cumsum([0, *(len(run) for run in runs[:-1])])


class LogMelStream:
    """Log-mel frames of a growing signal. It keeps only the samples that further frames need.

    Attributes:
        frames: number of frames returned so far.
    """

    def __init__(self, config: FrontEndConfig | None = None) -> None:
        self.config = config or FrontEndConfig()
        self._compute = FrameComputer(self.config)
        self._held = np.empty(0, np.int16)  # begins at sample frames × hop
        self._before = np.int16(0)
        self.frames = 0
        self._finished = False

    def feed(self, samples: NDArray[np.int16]) -> Float32:
        """Takes samples int16 [n]; returns the frames that became complete, float32 [k, mels], k ≥ 0."""
        return self._advance(samples, tail=False)[0]

    def feed_with_tail(self, samples: NDArray[np.int16]) -> tuple[Float32, Float32]:
        """Like `feed`, and returns also the frames that `finish` would return now; the stream stays open."""
        return self._advance(samples, tail=True)

    def finish(self) -> Float32:
        """Ends the signal; returns its tail frames, float32 [k, mels], each filled up by repeating its samples."""
        tail = self._advance(np.empty(0, np.int16), tail=True)[1]
        self._finished = True
        self._held = np.empty(0, np.int16)
        self.frames += len(tail)
        return tail

    def _advance(self, samples: NDArray[np.int16], *, tail: bool) -> tuple[Float32, Float32]:
        """The complete frames and, if `tail`, the tail frames, computed in one call."""
        if self._finished:
            raise ValueError("the stream has been finished; start a new one")
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"expected int16 [n], not {samples.dtype} {list(samples.shape)}")
        window, hop = self.config.window, self.config.hop
        held = np.concatenate([self._held, samples, _SILENCE])
        count = len(held) - 1
        whole = max(0, (count - window) // hop + 1)
        # Overlapping rows of the held samples without a copy; numpy checks the bounds.
        windows = np.ndarray((whole, window), np.int16, held, 0, (hop * 2, 2))
        if tail:
            rest = _tail_samples(count - whole * hop, hop, window)
            windows = np.concatenate([windows, held[whole * hop :][rest]])
        before = np.empty(len(windows), np.int16)  # the last sample of the window before each
        before[:1] = self._before
        before[1:] = windows[:-1, -1]
        frames = self._compute(windows, before)
        if whole:
            self._before = windows[whole - 1, -1]
        self._held = held[whole * hop : count].copy()
        self.frames += whole
        return frames[:whole], frames[whole:]


@lru_cache(maxsize=64)
def _tail_samples(left: int, hop: int, window: int) -> NDArray[np.intp]:
    """The samples of each tail frame, as indices [k, window] into the last `left` samples: those from the frame's beginning
    to the end, repeated. A frame that begins at the very end repeats the sample of silence that follows there."""
    begin = np.arange(0, left + 1, hop)[:, None]
    return begin + np.arange(window) % np.maximum(1, left - begin)


def log_mel(samples: NDArray[np.int16], config: FrontEndConfig | None = None) -> Float32:
    """Log-mel spectrogram float32 [n // hop + 1, mels] of a whole signal int16 [n]."""
    stream = LogMelStream(config)
    return np.concatenate([stream.feed(samples), stream.finish()])
