"""Sound from files and pipes. A microphone is in `voxface.runtime.live.microphone`."""

import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import Heard, read_blocks
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.stop import TIME_IS_UP, Stop

BLOCK_S: Final = 0.02
PcmFormat = Literal["s16le", "f32le"]
PCM_DTYPES: Final[dict[PcmFormat, str]] = {"s16le": "<i2", "f32le": "<f4"}


class FileSource:
    """A sound file as a source, at its own pace or as fast as the pipeline takes it."""

    def __init__(
        self,
        path: Path,
        clock: Clock | None = None,
        block_s: float = BLOCK_S,
        *,
        channel: int | None = None,
        heard: Heard | None = None,
    ) -> None:
        """Reads `path` in blocks of `block_s` seconds.

        Args:
            clock: sets the pace; None: blocks are delivered without waiting.
            channel: the channel to use, from 0; None: the mean of all channels.
            heard: told how far the reading is.
        """
        self._channel, self._heard = channel, heard
        self._path, self._clock, self._block = path, clock, max(1, round(block_s * SAMPLE_RATE))

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers the file in blocks until its end or `stop()`.

        Raises:
            InputError: the file cannot be used.
        """
        began = self._clock.now_ns() if self._clock else 0
        done = 0
        for samples in _cut(read_blocks(self._path, self._channel, self._heard), self._block):
            if stop():
                return
            now = captured = 0
            if self._clock:
                captured = began + (done + len(samples)) * 1_000_000_000 // SAMPLE_RATE
                self._clock.sleep((captured - self._clock.now_ns()) / 1e9)
                now = self._clock.now_ns()
            deliver(Block(samples[:, None], SAMPLE_RATE, captured, now, first=done, source=self._path.name))
            done += len(samples)


def _cut(blocks: Iterator[NDArray[np.int16]], size: int) -> Iterator[NDArray[np.int16]]:
    held = np.empty(0, np.int16)
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) // size * size
        yield from (held[at : at + size] for at in range(0, whole, size))
        held = held[whole:]
    if len(held):
        yield held


class PcmSource:
    """Raw interleaved PCM from a pipe, as it comes; the writer of the pipe waits when inference is slower."""

    def __init__(
        self,
        descriptor: int,
        rate: int,
        channels: int,
        form: PcmFormat,
        clock: Clock,
        block_s: float = BLOCK_S,
        *,
        limit_s: float | None = None,
    ) -> None:
        """`limit_s`: ends the source after so many seconds, even if the pipe delivers nothing."""
        self._limit = limit_s
        self._descriptor, self._rate, self._channels, self._form = descriptor, rate, channels, form
        self._clock = clock
        self._bytes = max(1, round(block_s * rate)) * channels * np.dtype(PCM_DTYPES[form]).itemsize

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers blocks until the writer closes the pipe or `stop()`.

        Raises:
            InputError: the pipe ends within a frame.
        """
        size = self._channels * np.dtype(PCM_DTYPES[self._form]).itemsize
        held, done = b"", 0
        ends = None if self._limit is None else self._clock.now_ns() + round(self._limit * 1e9)
        while not stop():
            if ends is not None and self._clock.now_ns() >= ends:
                stop.request(TIME_IS_UP)
                return
            # With a time limit, so that a signal ends the wait for a silent pipe too.
            if not select.select([self._descriptor], [], [], 0.1)[0]:
                continue
            data = os.read(self._descriptor, self._bytes)
            if not data:
                if held:
                    raise InputError(
                        f"standard input ends within a frame: {len(held)} bytes are left of {size}; "
                        f"is it {self._form} with {self._channels} channel(s)?"
                    )
                return
            held += data
            whole = len(held) // size * size
            if not whole:
                continue
            samples = np.frombuffer(held[:whole], PCM_DTYPES[self._form]).reshape(-1, self._channels)
            native = samples.astype(np.int16 if self._form == "s16le" else np.float32)
            now = self._clock.now_ns()
            deliver(Block(native, self._rate, now, now, first=done, source="standard input"))
            done += len(native)
            held = held[whole:]
