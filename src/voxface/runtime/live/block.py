"""Blocks of sound as a device or file delivers them, and the queue in which they wait between capture and inference."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from voxface.runtime.live.clock import Clock
from voxface.runtime.live.events import LossCause

Samples = NDArray[Any]  # int16, or float32 in [-1, 1]


@dataclass(frozen=True)
class Block:
    """Some frames of a stream; a frame is one sample of each channel.

    Attributes:
        samples: int16 or float32 [n, channels].
        rate: frames a second.
        captured_ns: when, on the clock of the run, the frame after its last was due at the converter (ADC).
        arrived_ns: when it was handed over.
        stream: number of the stream; a device that was opened again begins another.
        first: index of its first frame since the stream began, lost frames counted.
        lost: frames lost since the block before, by cause; (cause, frames) in order.
        source: what delivers it, for a person.
        gone: the device went away after it.
    """

    samples: Samples
    rate: int
    captured_ns: int
    arrived_ns: int
    stream: int = 0
    first: int = 0
    lost: tuple[tuple[LossCause, int], ...] = field(default=())
    source: str = ""
    gone: bool = False

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.samples)

    @property
    def length_ns(self) -> int:
        """How long it is."""
        return len(self.samples) * 1_000_000_000 // self.rate

    def newest(self, frames: int, cause: LossCause) -> "Block":
        """Its last `frames` frames; what was before them is lost to `cause`."""
        gone = self.frames - frames
        lost = (*self.lost, (cause, gone))
        return replace(self, samples=self.samples[gone:], first=self.first + gone, lost=lost)


FULL: LossCause = "queue full"


class BlockQueue:
    """A queue that holds `longest_s` seconds of sound.

    Attributes:
        blocks, dropped_blocks: put in, and dropped again, so far.
        dropped_frames: frames dropped.
        deepest_s: the most seconds that ever waited.
    """

    def __init__(self, clock: Clock, longest_s: float = 10.0) -> None:
        self._longest = round(longest_s * 1e9)
        self._changed = clock.monitor()
        self._blocks: deque[Block] = deque()
        self._waiting = 0  # nanoseconds, for sums of whole numbers stay exact
        self._lost: dict[int, list[tuple[LossCause, int]]] = {}
        self._closed = False
        self.blocks = self.dropped_blocks = self.dropped_frames = 0
        self.deepest_s = 0.0

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that wait."""
        return self._waiting / 1e9

    def put(self, block: Block) -> None:
        """Adds a block; makes room by dropping the oldest. Ignored once closed."""
        with self._changed:
            if self._closed:
                return
            self.blocks += 1
            if block.length_ns > self._longest:  # one block alone is too much: its newest part stays
                kept = self._longest * block.rate // 1_000_000_000
                self.dropped_frames += block.frames - kept
                block = block.newest(kept, FULL)
            while self._blocks and self._waiting + block.length_ns > self._longest:
                self._drop()
            told = self._lost.pop(block.stream, [])
            self._lost.clear()
            if told and not self._blocks:
                block = replace(block, lost=(*told, *block.lost))
            self._blocks.append(block)
            self._waiting += block.length_ns
            self.deepest_s = max(self.deepest_s, self.waiting_s)
            self._changed.notify()

    def get(self, timeout_s: float | None = None) -> Block | None:
        """The oldest block; None when the time is over, or when the queue is closed and empty."""
        with self._changed:
            self._changed.wait(lambda: bool(self._blocks) or self._closed, timeout_s)
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._waiting -= block.length_ns
            return block

    @property
    def finished(self) -> bool:
        """Whether it is closed and empty."""
        return self._closed and not self._blocks

    def close(self) -> None:
        """No more blocks come."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _drop(self) -> None:
        """Drops the oldest block; the one after it tells of it."""
        gone = self._blocks.popleft()
        self._waiting -= gone.length_ns
        self.dropped_blocks += 1
        self.dropped_frames += gone.frames
        lost = (*gone.lost, (FULL, gone.frames))
        if self._blocks and self._blocks[0].stream == gone.stream:
            self._blocks[0] = replace(self._blocks[0], lost=_joined((*lost, *self._blocks[0].lost)))
        else:
            self._lost[gone.stream] = list(_joined(lost))


def _joined(lost: tuple[tuple[LossCause, int], ...]) -> tuple[tuple[LossCause, int], ...]:
    """Neighbours of one cause as one, so that a long stall tells one range and not one a block."""
    out: list[tuple[LossCause, int]] = []
    for cause, frames in lost:
        if out and out[-1][0] == cause:
            out[-1] = (cause, out[-1][1] + frames)
        else:
            out.append((cause, frames))
    return tuple(out)
