"""Log-mel spectrogram of the `wen2019` front end, the same bits offline and streaming, and windows of its frames.

Published voice encoders were trained on this front end with its peculiarities: samples at int16 scale; pre-emphasis in which
the "previous sample" of a frame is the last sample of the frame before it, although frames overlap; a tail that repeats
samples. Leaving them out changes normalised features by up to about 3.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import PROVISIONAL, FrontEndConfig

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_INT16 = np.dtype(np.int16)
_BLOCK = 32  # frames computed at once, so few that intermediate results stay in the processor's cache
_ONE = np.array(1.0)
try:  # the function in C behind `numpy.fft.rfft`; for one frame, the way there takes half as long as the FFT
    from numpy.fft._pocketfft_umath import rfft_n_even as _rfft_n_even
except ImportError:  # it is private to numpy, and may move
    _rfft_n_even = None


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


class _Constants(NamedTuple):
    """What is the same for all streams, repeated for each row of a block: numpy multiplies two arrays of one shape twice as
    fast as an array by a row."""

    hamming: Float64  # [rows, window]
    emphasis: Float64  # []
    floor: Float64  # []
    bins: slice  # of the FFT, those of the filters
    # The mel filters of even and of odd number, [2, rows, bins]: filters of one kind do not overlap.
    weights: Float64
    begins: NDArray[np.intp]  # [2, filters], the place in `bins` from where on a row is summed for a filter


@lru_cache(maxsize=4)
def _constants(config: FrontEndConfig) -> _Constants:
    edges, rows = config.edges(), _BLOCK + PROVISIONAL
    bins = slice(int(edges[0]), int(edges[-1]))
    weights = np.stack([mel_filters(config)[bins, kind::2].sum(1) for kind in (0, 1)])
    # Where there is one filter less of odd number, a filter without weights stands for it.
    begins = np.stack([edges[kind : config.mels + config.mels % 2 : 2] for kind in (0, 1)]) - edges[0]
    begins[:, 0] = (
        0  # the bins before the first filter have no weight, and rows are summed without what stands beside them
    )
    return _Constants(
        hamming=np.tile(np.hamming(config.window), (rows, 1)),
        emphasis=np.array(-config.preemphasis),
        floor=np.array(config.floor),
        bins=bins,
        weights=np.repeat(weights[:, None], rows, axis=1),
        begins=begins,
    )


class _Room(NamedTuple):
    """The working memory of so many frames that are computed at once, cut to size once: cutting it at each call would take as
    long as computing a frame. A row that stands alone is one-dimensional, for which numpy is faster."""

    padded: Float64  # [k, fft], zero behind the window
    spectrum: NDArray[np.complex128]  # [k, fft/2 + 1]
    parts: Float64  # [k, fft + 2], the real and imaginary parts of the spectrum, side by side
    real: Float64  # [k, bins]
    imaginary: Float64  # [k, bins]
    power: Float64  # [k, bins]
    weights: tuple[Float64, Float64]  # [k, bins]
    weighted: tuple[Float64, Float64]  # [k, bins]
    flat: Float64  # [2 k bins]
    begins: NDArray[np.intp]  # [2 k filters]
    sums: Float64  # [2 k filters]
    order: NDArray[np.intp]  # [k, mels], where in `sums` each filter of each frame stands
    mel: Float64  # [k, mels]


class _Whole(NamedTuple):
    """The working memory of so many whole frames, cut to size once."""

    before: Float64  # [n], the sample before each
    samples: Float64  # [n]
    emphasised: Float64  # [n]
    windows: Float64  # [k, window], overlapping rows of `emphasised`
    hamming: Float64  # [k, window]
    windowed: Float64  # [k, window]
    first_before: Float64  # [k], the sample that the front end takes for the one before each frame
    first_samples: Float64  # [k]
    first: Float64  # [k]
    first_windowed: Float64  # [k]


class FrameComputer:
    """Computes the log-mel frames of a growing signal, of which it keeps only the samples that further frames need.

    A frame's bits do not depend on the other frames that are computed with it. That rules out a matrix product, whose rounding
    changes with its number of rows.
    """

    def __init__(self, config: FrontEndConfig) -> None:
        self.config = config
        self._constants = _constants(config)
        self.most = config.window + _BLOCK * config.hop - 1  # samples held, which make `_BLOCK` whole frames
        self._signal = np.zeros(self.most + 2)  # one sample before those that are held, and silence behind them
        self._emphasised = np.empty(self.most)
        rows, bins = self._constants.weights.shape[1:]
        self._padded = np.zeros((rows, config.fft))
        self._spectrum = np.empty((rows, config.fft // 2 + 1), np.complex128)
        self._power = np.empty((rows, bins))
        self._weighted = np.empty(2 * rows * bins)
        self._sums = np.empty(rows * self._constants.begins.size)
        self._mel = np.empty((rows, config.mels))
        self._first = np.empty(_BLOCK)
        self._rooms: dict[int, _Room] = {}
        self._wholes: dict[int, _Whole] = {}
        self._one: Callable[[NDArray[np.int16], int, int], Float32] | None = None
        self._none = np.empty((0, config.mels), np.float32)
        self.held = 0
        self._hops = 0  # by which the held samples stand behind their place at the beginning
        self.steady = False  # whether the next hop of samples completes one frame
        self._emphasis, self._edge = -config.preemphasis, float(self._constants.hamming[0, 0])
        self._begun = False

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: it cuts its own working memory to size."""
        return {**self.__dict__, "_rooms": {}, "_wholes": {}, "_one": None}

    def __call__(self, samples: NDArray[np.int16], tail: bool) -> tuple[Float32, Float32]:
        """The frames that samples int16 [n] complete, float32 [k, mels]; and if `tail`, those that would end the signal here.

        n is at most `most` - `held`.
        """
        window, hop, held = self.config.window, self.config.hop, self.held + len(samples)
        if self._hops:
            begin = self._hops * hop
            self._signal[: 1 + self.held] = self._signal[begin : begin + 1 + self.held]
            self._hops = 0
        self._signal[1 + self.held : 1 + held] = samples
        whole = (held - window) // hop + 1 if held >= window else 0
        if whole:
            self._window_whole(whole)
        count = whole
        if tail:
            count += self._window_tail(whole, held)
        if whole:
            held -= whole * hop
            self._signal[: 1 + held] = self._signal[whole * hop : 1 + whole * hop + held]
            self._begun = True
        self.held = held
        self.steady = self._begun and window - hop <= held < window
        if not count:
            return self._none, self._none
        frames = self._frames(count)
        return (frames[:whole], frames[whole:]) if tail else (frames, self._none)

    def next_frame(self, samples: NDArray[np.int16]) -> Float32:
        """The frame float32 [1, mels] that a hop of samples int16 [hop] completes; only while `steady`.

        It has the bits that a call would give, in four fifths of the time: what a call finds out anew, such as how many
        frames there are and where in memory everything lies, is found out once.
        """
        if self._hops == _BLOCK:
            self(samples[:0], False)
        frame = (self._one or self._cut_one())(samples, self._hops, self.held)
        self._hops += 1
        return frame

    def _cut_one(self) -> Callable[[NDArray[np.int16], int, int], Float32]:
        """The function behind `next_frame`, with its working memory cut to size; it does not hold this object."""
        window, hop, signal = self.config.window, self.config.hop, self._signal
        cuts = [(signal[at : at + window], signal[1 + at : 1 + at + window]) for at in range(0, _BLOCK * hop, hop)]
        room = self._rooms.get(1) or self._cut_room(1)
        whole = self._wholes.get(1) or self._cut_whole(1)
        emphasised, windowed, hamming = whole.emphasised, whole.windowed, whole.hamming
        padded, spectrum, parts, real, imaginary, power, weights, weighted, flat, begins, sums, order, mel = room
        (weights_0, weights_1), (weighted_0, weighted_1) = weights, weighted
        multiply, add, reduceat, maximum, log = np.multiply, np.add, np.add.reduceat, np.maximum, np.log
        emphasis, floor, single = self._constants.emphasis, self._constants.floor, np.float32
        number, by, edge, before_it = signal.item, self._emphasis, self._edge, window - hop - 1
        private = None if self.config.fft % 2 else _rfft_n_even

        def one(samples: NDArray[np.int16], hops: int, held: int) -> Float32:
            begin, (before, frame) = 1 + hops * hop, cuts[hops]
            signal[begin + held : begin + held + hop] = samples
            multiply(before, emphasis, emphasised)
            add(emphasised, frame, emphasised)
            multiply(emphasised, hamming, windowed)
            padded[0] = (number(begin + before_it) * by + number(begin)) * edge
            if private is None:
                np.fft.rfft(padded, out=spectrum)
            else:
                private(padded, _ONE, spectrum)
            multiply(parts, parts, parts)
            add(real, imaginary, power)
            multiply(power, weights_0, weighted_0)
            multiply(power, weights_1, weighted_1)
            reduceat(flat, begins, 0, None, sums)
            maximum(sums, floor, out=sums)
            log(sums, sums)
            sums.take(order, None, mel, "clip")
            return mel.astype(single)

        self._one = one
        return one

    def _window_whole(self, count: int) -> None:
        """Puts `count` frames at the beginning of the held samples, emphasised and windowed, into the first rows."""
        cut = self._wholes.get(count) or self._cut_whole(count)
        before, samples, emphasised, windows, hamming, windowed, *firsts = cut
        np.multiply(before, self._constants.emphasis, emphasised)
        np.add(emphasised, samples, emphasised)
        np.multiply(windows, hamming, windowed)
        # The first sample of each frame, with the sample that the front end takes for the one before it.
        if count == 1:  # two numbers are faster in Python than in calls of numpy
            number = self._signal.item
            one_before = number(self.config.window - self.config.hop) * self._emphasis if self._begun else 0.0
            self._padded[0, 0] = (one_before + number(1)) * self._edge
            return
        first_before, first_samples, first, first_windowed = firsts
        np.multiply(first_before, self._constants.emphasis, first)
        if not self._begun:
            first[0] = 0.0
        np.add(first, first_samples, first)
        np.multiply(first, self._edge, first_windowed)

    def _window_tail(self, whole: int, held: int) -> int:
        """Puts the frames that begin in the samples behind `whole` frames into the rows behind theirs; returns how many."""
        window, hop = self.config.window, self.config.hop
        self._signal[1 + held] = 0.0
        places = _tail_samples(held - whole * hop, hop, window, self._begun or whole > 0)
        samples, before = self._signal[whole * hop :].take(places)
        before *= self._constants.emphasis
        before += samples
        count = len(before)
        np.multiply(before, self._constants.hamming[:count], out=self._padded[whole : whole + count, :window])
        return count

    def _frames(self, count: int) -> Float32:
        """Log-mel frames float32 [count, mels] of the first rows."""
        room = self._rooms.get(count) or self._cut_room(count)
        padded, spectrum, parts, real, imaginary, power, weights, weighted, flat, begins, sums, order, mel = room
        if _rfft_n_even is None or self.config.fft % 2:
            np.fft.rfft(padded, out=spectrum)
        else:
            _rfft_n_even(padded, _ONE, spectrum)
        np.multiply(parts, parts, parts)
        np.add(real, imaginary, power)
        np.multiply(power, weights[0], weighted[0])
        np.multiply(power, weights[1], weighted[1])
        np.add.reduceat(flat, begins, 0, None, sums)
        np.maximum(sums, self._constants.floor, out=sums)
        np.log(sums, sums)
        sums.take(order, None, mel, "clip")  # any other mode copies its output
        return mel.astype(np.float32)

    def _cut_room(self, count: int) -> _Room:
        bins, begins = self._constants.bins, self._constants.begins
        rows = slice(count) if count > 1 else 0
        spectrum, size = self._spectrum[rows], self._power.shape[1]
        parts = spectrum.view(np.float64)
        flat = self._weighted[: 2 * count * size]
        weighted = flat.reshape(2, count, size)[:, rows]
        sums = self._sums[: count * begins.size]
        order = np.arange(len(sums)).reshape(2, count, -1)
        self._rooms[count] = _Room(
            padded=self._padded[rows],
            spectrum=spectrum,
            parts=parts,
            real=parts[..., 2 * bins.start : 2 * bins.stop : 2],
            imaginary=parts[..., 2 * bins.start + 1 : 2 * bins.stop : 2],
            power=self._power[rows],
            weights=(self._constants.weights[0, rows], self._constants.weights[1, rows]),
            weighted=(weighted[0], weighted[1]),
            flat=flat,
            begins=(size * np.arange(2 * count).reshape(2, count, 1) + begins[:, None]).ravel(),
            sums=sums,
            order=np.ascontiguousarray(order.transpose(1, 2, 0).reshape(count, -1)[:, : self.config.mels]),
            mel=self._mel[:count],
        )
        return self._rooms[count]

    def _cut_whole(self, count: int) -> _Whole:
        window, hop, step = self.config.window, self.config.hop, self._signal.itemsize
        size = (count - 1) * hop + window
        rows = slice(count) if count > 1 else 0
        self._wholes[count] = _Whole(
            before=self._signal[:size],
            samples=self._signal[1 : 1 + size],
            emphasised=self._emphasised[:size],
            windows=np.ndarray((count, window), np.float64, self._emphasised, 0, (hop * step, step))[rows],
            hamming=self._constants.hamming[rows],
            windowed=self._padded[rows, :window],
            first_before=self._signal[window - hop :: hop][:count],
            first_samples=self._signal[1::hop][:count],
            first=self._first[:count],
            first_windowed=self._padded[:count, 0],
        )
        return self._wholes[count]


class LogMelStream:
    """Log-mel frames of a growing signal.

    Attributes:
        frames: number of frames returned so far.
    """

    def __init__(self, config: FrontEndConfig | None = None) -> None:
        self.config = config or FrontEndConfig()
        self._compute = FrameComputer(self.config)
        self._hop = (self.config.hop,)
        self.frames = 0
        self._finished = False

    def feed(self, samples: NDArray[np.int16]) -> Float32:
        """Takes samples int16 [n]; returns the frames that became complete, float32 [k, mels], k ≥ 0."""
        if self._compute.steady and samples.shape == self._hop and samples.dtype == _INT16 and not self._finished:
            self.frames += 1
            return self._compute.next_frame(samples)
        return self._advance(samples, tail=False)[0]

    def feed_with_tail(self, samples: NDArray[np.int16]) -> tuple[Float32, Float32]:
        """Like `feed`, and returns also the frames that `finish` would return now; the stream stays open."""
        return self._advance(samples, tail=True)

    def finish(self) -> Float32:
        """Ends the signal; returns its tail frames, float32 [k, mels], each filled up by repeating its samples."""
        tail = self._advance(np.empty(0, np.int16), tail=True)[1]
        self._finished = True
        self.frames += len(tail)
        return tail

    def _advance(self, samples: NDArray[np.int16], *, tail: bool) -> tuple[Float32, Float32]:
        """The complete frames and, if `tail`, the tail frames, computed in one call."""
        if self._finished:
            raise ValueError("the stream has been finished; start a new one")
        if samples.dtype != _INT16 or samples.ndim != 1:
            raise ValueError(f"expected int16 [n], not {samples.dtype} {list(samples.shape)}")
        parts = []
        while len(samples) > (room := self._compute.most - self._compute.held):
            parts.append(self._compute(samples[:room], False)[0])
            samples = samples[room:]
        whole, rest = self._compute(samples, tail)
        if parts:
            whole = np.concatenate([*parts, whole])
        self.frames += len(whole)
        return whole, rest


@lru_cache(maxsize=64)
def _tail_samples(left: int, hop: int, window: int, begun: bool) -> NDArray[np.intp]:
    """The samples of each tail frame and those before them, as places [2, k, window] in the last `left` samples, counted from
    the sample before these. A frame has the samples from its beginning to the end, repeated. A frame that begins at the very
    end repeats the sample of silence that follows there."""
    begin = np.arange(0, left + 1, hop)[:, None]
    samples = 1 + begin + np.arange(window) % np.maximum(1, left - begin)
    before = np.empty_like(samples)
    before[:, 1:] = samples[:, :-1]
    before[1:, 0] = samples[:-1, -1]
    before[0, 0] = window - hop if begun else 0
    return np.stack([samples, before])


def log_mel(samples: NDArray[np.int16], config: FrontEndConfig | None = None) -> Float32:
    """Log-mel spectrogram float32 [n // hop + 1, mels] of a whole signal int16 [n]."""
    return np.concatenate(LogMelStream(config).feed_with_tail(samples))
