"""Audio input: converts blocks of any rate, channels and format to int16 at 16 kHz with absolute indices. A state machine.

Resampling continues across blocks, since resampling each block alone would click, and starts anew where frames were lost.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.channels import ChannelMixer
from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.audio.samples import LIMIT
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import UsageError
from voxface.runtime.live.block import Block
from voxface.runtime.live.events import LossCause, Lost, Rejected, StreamEnded, StreamStarted

LONGEST_GAP_S: Final = 24 * 3600.0


@dataclass(frozen=True)
class Audio:
    """Samples int16 [n] at 16 kHz; the first of them has the absolute index `start`."""

    start: int
    samples: NDArray[np.int16]


Item = Audio | Lost | Rejected | StreamStarted | StreamEnded


class AudioInput:
    """Converts the blocks of all streams of a run, in order.

    Attributes:
        position: absolute index of the next sample at 16 kHz.
    """

    def __init__(self, channel: int | None = None, start: int = 0) -> None:
        """Uses `channel`, from 0, or with None what `ChannelMixer` makes of all; begins at absolute sample `start`."""
        self._channel = channel
        self._stream: int | None = None
        self._rate = SAMPLE_RATE
        self._base = start  # absolute sample of the stream's frame 0
        self._next = 0  # number of the next frame
        self._captured = 0
        self._resampler = Resampler(SAMPLE_RATE)
        self._mixer = ChannelMixer(SAMPLE_RATE, 1)
        self.position = start

    def captured_ns(self, position: int) -> int:
        """When absolute sample `position` of the present stream was at the converter, without the resampler's delay."""
        newest = self._base + self._next * SAMPLE_RATE // self._rate
        return self._captured - (newest - position) * 1_000_000_000 // SAMPLE_RATE

    def feed(self, block: Block) -> list[Item]:
        """Converts a block; where frames before it are missing, a `Lost` precedes its samples.

        Raises:
            UsageError: the block does not have the chosen channel.
        """
        items: list[Item] = []
        if block.gone:
            self._flush(items)
            return [*items, StreamEnded(self.position, block.source)]
        channels = block.samples.shape[1]
        if self._channel is not None and self._channel >= channels:
            raise UsageError(f"channel {self._channel + 1}: {block.source or 'the source'} has {channels}")
        if block.stream != self._stream:
            self._begin(block, channels, items)
        missing = block.first - self._next
        if missing > 0:
            self._flush(items)
            known = sum(frames for _, frames in block.lost)
            causes = block.lost if known else (("device overflow", missing),)
            self._lose(block.first, causes, items)
        samples = self._usable(block, items)
        self._next = block.first + block.frames
        self._captured = block.captured_ns
        if samples.dtype == np.int16 and self._rate == SAMPLE_RATE:
            self._emit(samples, items)
        else:
            if samples.dtype == np.int16:
                samples = samples.astype(np.float32) / np.float32(32768)
            self._emit(to_int16(self._resampler.feed(samples)), items)
        return items

    def finish(self) -> list[Item]:
        """Ends the stream; returns the samples that the resampler still holds."""
        items: list[Item] = []
        self._flush(items)
        return items

    def _begin(self, block: Block, channels: int, items: list[Item]) -> None:
        if self._stream is not None:  # the device was away, and time went on
            self._flush(items)
            began = block.captured_ns - block.length_ns
            away = min(max(0.0, (began - self._captured) / 1e9), LONGEST_GAP_S)
            end = self.position + round(away * SAMPLE_RATE)
            if end > self.position:
                items.append(Lost(self.position, end, "device away"))
                self.position = end
        self._stream, self._rate, self._base = block.stream, block.rate, self.position
        self._next = 0
        self._resampler = Resampler(block.rate)
        self._mixer = ChannelMixer(block.rate, channels)
        items.append(StreamStarted(self.position, block.source, block.rate, channels))

    def _lose(self, first: int, causes: tuple[tuple[LossCause, int], ...], items: list[Item]) -> None:
        frame = self._next
        for index, (cause, frames) in enumerate(causes):
            frame = first if index == len(causes) - 1 else frame + frames
            end = max(self.position, self._base + frame * SAMPLE_RATE // self._rate)
            if end > self.position:
                items.append(Lost(self.position, end, cause))
            self.position = end
        self._resampler = Resampler(self._rate)
        self._mixer.restart()

    def _flush(self, items: list[Item]) -> None:
        if self._stream is not None:
            self._emit(to_int16(self._resampler.feed(np.empty(0, np.float32), last=True)), items)
            self._resampler = Resampler(self._rate)

    def _usable(self, block: Block, items: list[Item]) -> NDArray[Any]:
        """The samples of one channel; NaN, infinite and far too large samples are replaced by zero and reported."""
        samples = block.samples if self._channel is None else block.samples[:, [self._channel]]
        if samples.dtype != np.int16:
            samples = samples.astype(np.float32, copy=False)
            bad = np.flatnonzero(~(np.abs(samples) <= LIMIT).min(1))
            if len(bad):
                first, last = int(bad[0]) + block.first, int(bad[-1]) + block.first + 1
                start, end = (self._base + frame * SAMPLE_RATE // self._rate for frame in (first, last))
                items.append(Rejected(start, max(end, start + 1), len(bad)))
                samples = samples.copy()
                samples[bad] = 0
        if samples.shape[1] == 1:
            return samples[:, 0]
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(32768)
        return self._mixer.feed(samples)

    def _emit(self, samples: NDArray[np.int16], items: list[Item]) -> None:
        if len(samples):
            items.append(Audio(self.position, samples))
            self.position += len(samples)
