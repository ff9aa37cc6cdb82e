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
        captured_ns: when the frame after the block's last was due at the converter (ADC), on the clock of the run.
        arrived_ns: when the device or file handed the block over.
        stream: number of the stream; a device that is opened again begins another stream.
        first: index of the block's first frame since the stream began, lost frames included.
        lost: frames lost since the block before, as (cause, frames) in order.
        source: name of the device or file, for display.
        gone: whether the device went away after this block.
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
        """Number of frames."""
        return len(self.samples)

    @property
    def length_ns(self) -> int:
        """Duration in nanoseconds."""
        return len(self.samples) * 1_000_000_000 // self.rate

    def newest(self, frames: int, cause: LossCause) -> "Block":
        """The block reduced to its last `frames` frames; the frames before them count as lost by `cause`."""
        gone = self.frames - frames
        lost = (*self.lost, (cause, gone))
        return replace(self, samples=self.samples[gone:], first=self.first + gone, lost=lost)


QUEUE_FULL: LossCause = "queue full"


class BlockQueue:
    """A queue of at most `longest_s` seconds of sound, between capture and inference.

    `put` never waits: when there is no room, the oldest blocks are dropped, and the next block reports their frames as lost.

    Attributes:
        blocks: number of blocks put in so far.
        dropped_blocks: number of blocks dropped so far.
        dropped_frames: number of frames dropped so far.
        deepest_s: the most seconds of sound that have waited at once.
    """

    def __init__(self, clock: Clock, longest_s: float = 10.0) -> None:
        self._longest = round(longest_s * 1e9)
        self._changed = clock.monitor()
        self._blocks: deque[Block] = deque()
        self._waiting = 0  # nanoseconds: sums of whole numbers stay exact
        self._lost: dict[int, list[tuple[LossCause, int]]] = {}
        self._closed = False
        self.blocks = self.dropped_blocks = self.dropped_frames = 0
        self.deepest_s = 0.0

    @property
    def waiting_s(self) -> float:
        """Seconds of sound that wait in the queue."""
        return self._waiting / 1e9

    def put(self, block: Block) -> None:
        """Adds a block, and drops the oldest blocks where it needs room. Does nothing once the queue is closed."""
        with self._changed:
            if self._closed:
                return
            self.blocks += 1
            if block.length_ns > self._longest:  # one block alone is too long: its newest part stays
                kept = self._longest * block.rate // 1_000_000_000
                self.dropped_frames += block.frames - kept
                block = block.newest(kept, QUEUE_FULL)
            while self._blocks and self._waiting + block.length_ns > self._longest:
                self._drop()
            lost = self._lost.pop(block.stream, [])
            self._lost.clear()
            if lost and not self._blocks:
                block = replace(block, lost=(*lost, *block.lost))
            self._blocks.append(block)
            self._waiting += block.length_ns
            self.deepest_s = max(self.deepest_s, self.waiting_s)
            self._changed.notify()

    def get(self, timeout_s: float | None = None) -> Block | None:
        """Takes out the oldest block; None after `timeout_s`, or when the queue is closed and empty."""
        with self._changed:
            self._changed.wait(lambda: bool(self._blocks) or self._closed, timeout_s)
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._waiting -= block.length_ns
            return block

    @property
    def finished(self) -> bool:
        """Whether the queue is closed and empty."""
        return self._closed and not self._blocks

    def close(self) -> None:
        """Closes the queue: later blocks are ignored, and `get` returns None once it is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _drop(self) -> None:
        """Drops the oldest block; the block after it reports the loss."""
        gone = self._blocks.popleft()
        self._waiting -= gone.length_ns
        self.dropped_blocks += 1
        self.dropped_frames += gone.frames
        lost = (*gone.lost, (QUEUE_FULL, gone.frames))
        if self._blocks and self._blocks[0].stream == gone.stream:
            self._blocks[0] = replace(self._blocks[0], lost=_joined((*lost, *self._blocks[0].lost)))
        else:
            self._lost[gone.stream] = list(_joined(lost))


def _joined(lost: tuple[tuple[LossCause, int], ...]) -> tuple[tuple[LossCause, int], ...]:
    """Joins neighbouring losses of one cause, so that a long stall is reported as one range and not as one per block."""
    out: list[tuple[LossCause, int]] = []
    for cause, frames in lost:
        if out and out[-1][0] == cause:
            out[-1] = (cause, out[-1][1] + frames)
        else:
            out.append((cause, frames))
    return tuple(out)
