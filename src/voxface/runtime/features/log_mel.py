"""Log-mel spectrogram of the `wen2019` front end, the same bits offline and streaming.

One frame computer serves both: the stream hands it whole frames as they fill, and the tail at the end. Published voice
encoders were trained on this front end, quirks included (int16 scale; pre-emphasis whose "previous sample" of a frame is
the last sample of the frame before it, although the frames overlap; a repeated tail); leaving them out changes normalised
features by up to about 3.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import FrontEndConfig

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_SILENCE = np.zeros(1, np.int16)
_BLOCK = 16  # frames computed at once: what lies between samples and log-mel stays in the processor's cache


def mel_filters(config: FrontEndConfig) -> Float64:
    """Triangular filters float64 [fft/2 + 1, mels]; each has area one over frequency in Hz."""
    edges = config.edges()
    hz = config.sample_rate / config.fft
    filters = np.zeros((config.fft // 2 + 1, config.mels))
    for m, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2.0 / ((right - left) * hz)
        filters[left : centre + 1, m] = height * np.linspace(0, 1, centre - left + 1)
        filters[centre : right + 1, m] = height * np.linspace(1, 0, right - centre + 1)
    return filters


class FrameComputer:
    """Turns windows of samples into log-mel frames. Keeps its working memory: one for each stream, not thread-safe.

    Every frame is computed by operations whose result does not depend on which other frames stand in the same call: a
    matrix product, whose rounding changes with its number of rows, is avoided.
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
        # Real and imaginary parts side by side: squared in one go.
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
    """A filter's bins are one run, so each filter is a segment of one long row of (power × weight).

    Returns the bins and the weights of that row, and where in it each segment begins.
    """
    filters = mel_filters(config)
    runs = [np.flatnonzero(column) for column in filters.T]
    weights = np.concatenate([filters[run, m] for m, run in enumerate(runs)])
    return np.concatenate(runs), weights, np.cumsum([0, *(len(run) for run in runs[:-1])])


class LogMelStream:
    """Log-mel frames of a growing signal. Remembers only the samples that further frames need.

    Attributes:
        frames: how many frames have been given out.
    """

    def __init__(self, config: FrontEndConfig | None = None) -> None:
        self.config = config or FrontEndConfig()
        self._compute = FrameComputer(self.config)
        self._held = np.empty(0, np.int16)  # starts at sample frames × hop
        self._before = np.int16(0)
        self.frames = 0
        self._finished = False

    def feed(self, samples: NDArray[np.int16]) -> Float32:
        """Takes int16 [n]; returns the frames that became whole, float32 [k, mels], k ≥ 0."""
        return self._advance(samples, tail=False)[0]

    def feed_and_look(self, samples: NDArray[np.int16]) -> tuple[Float32, Float32]:
        """As `feed`, and the frames that `finish` would give then; the stream goes on as if these had not been asked for."""
        return self._advance(samples, tail=True)

    def finish(self) -> Float32:
        """Ends the signal; returns its tail frames, float32 [k, mels]: each filled by repeating what is left of it."""
        tail = self._advance(np.empty(0, np.int16), tail=True)[1]
        self._finished = True
        self._held = np.empty(0, np.int16)
        self.frames += len(tail)
        return tail

    def _advance(self, samples: NDArray[np.int16], *, tail: bool) -> tuple[Float32, Float32]:
        """Whole frames and tail frames, computed in one go."""
        if self._finished:
            raise ValueError("the stream has been finished; start a new one")
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"expected int16 [n], not {samples.dtype} {list(samples.shape)}")
        window, hop = self.config.window, self.config.hop
        held = np.concatenate([self._held, samples, _SILENCE])
        count = len(held) - 1
        whole = max(0, (count - window) // hop + 1)
        # Overlapping rows of the held samples, without a copy; numpy checks that they lie within.
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
    """Which of the last `left` samples each tail frame is made of, [k, window]: those from its beginning on, again and again;
    of the silence after them, if it begins where they end."""
    begin = np.arange(0, left + 1, hop)[:, None]
    return begin + np.arange(window) % np.maximum(1, left - begin)


def log_mel(samples: NDArray[np.int16], config: FrontEndConfig | None = None) -> Float32:
    """Log-mel spectrogram float32 [n // hop + 1, mels] of a whole signal int16 [n]."""
    stream = LogMelStream(config)
    return np.concatenate([stream.feed(samples), stream.finish()])
