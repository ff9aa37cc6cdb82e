"""The sound of one session that waits for inference: bounded, the oldest is dropped first, and every loss is reported.

A state machine without a lock; the lane that owns it has one.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.live.block import QUEUE_FULL
from voxface.runtime.live.events import LossCause

NS: Final = 1_000_000_000
HURRY: Final = 1.1  # a clock that runs faster than ours by less than this is no hurry, however long the session lasts
OF_CLIENT: Final[LossCause] = "device overflow"  # what a client says that it has lost
Losses = tuple[tuple[LossCause, int], ...]


@dataclass(frozen=True)
class Piece:
    """Sound for one turn.

    Attributes:
        samples: int16 or float32 [n, channels]; n is 0 where the client has finished and nothing waits.
        first: number of its first frame since the session began, lost frames included.
        lost: frames lost right before it, by cause, in order.
        due_ns: when its newest frame was due, see `SoundQueue`.
        behind: whether more sound waits after it than a session may be behind by.
        last: whether the client has finished, and nothing comes after it.
    """

    samples: NDArray[Any]
    first: int
    lost: Losses
    due_ns: int
    behind: bool
    last: bool


@dataclass(frozen=True)
class _Block:
    samples: NDArray[Any]
    due: int
    lost: Losses

    def without(self, frames: int) -> "_Block":
        return replace(self, samples=self.samples[frames:], lost=())


class SoundQueue:
    """Blocks of sound of one session, in order.

    A block is due when it arrives, or, where sound comes faster than it is spoken, when it would have been spoken. So a client
    that sends much at once waits for the others, and uses the time that they leave.

    Attributes:
        waiting: frames that wait.
        dropped: frames dropped so far.
        received: frames received so far, lost ones included.
        finished: whether the client has finished.
    """

    def __init__(self, rate: int, longest: int, *, keep: bool = False) -> None:
        """Args:
        rate: frames a second.
        longest: the most frames that may wait.
        keep: nothing is dropped; whoever fills the queue asks `full` first.
        """
        self._rate, self._longest, self._keep = rate, longest, keep
        self._blocks: deque[_Block] = deque()
        self._next_due = 0
        self._next = 0  # number of the next frame that is given out
        self._before: Losses = ()  # lost before the oldest block
        self._after: Losses = ()  # lost after the newest block
        self.waiting = self.dropped = self.received = 0
        self.finished = self._told_end = False

    @property
    def full(self) -> bool:
        """Whether a client that is to wait has to."""
        return self.waiting >= self._longest

    def push(self, samples: NDArray[Any], now_ns: int) -> int:
        """Adds frames [n, channels] that arrived now; returns how many were dropped for them."""
        count = len(samples)
        if self.finished or not count:
            return 0
        self.received += count
        self.waiting += count
        due = max(self._next_due, now_ns)
        self._next_due = due + round(count * NS / self._rate / HURRY)
        self._blocks.append(_Block(samples, due, self._after))
        self._after = ()
        return 0 if self._keep else self._drop(self.waiting - self._longest)

    def lose(self, frames: int, cause: LossCause = OF_CLIENT) -> None:
        """`frames` frames are missing after what has come; unless another cause is given, the client says so."""
        if not self.finished and frames > 0:
            self.received += frames
            self._after = _joined((*self._after, (cause, frames)))

    def finish(self) -> None:
        """Nothing more comes."""
        self.finished = True

    def due_ns(self) -> int | None:
        """When the oldest sound that waits is due; None: there is nothing to do."""
        if self._blocks:
            return self._blocks[0].due
        return self._next_due if self.finished and not self._told_end else None

    def take(self, most: int, behind: int) -> Piece | None:
        """Takes out at most `most` of the oldest frames, up to the next loss; None: there is nothing to do.

        Args:
            behind: the number of frames beyond which those that still wait make the session late.
        """
        if self.due_ns() is None:
            return None
        lost, self._before = self._before, ()
        parts: list[NDArray[Any]] = []
        taken = due = 0
        while self._blocks and taken < most:
            block = self._blocks[0]
            if block.lost and parts:
                break
            lost = (*lost, *block.lost)
            part = block.samples[: most - taken]
            if len(part) == len(block.samples):
                self._blocks.popleft()
            else:
                self._blocks[0] = block.without(len(part))
            parts.append(part)
            taken += len(part)
            due = block.due
        lost = _joined(lost)
        first = self._next + sum(frames for _, frames in lost)
        self._next = first + taken
        self.waiting -= taken
        last = self.finished and not self._blocks
        self._told_end = last
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty((0, 1), np.int16)
        return Piece(joined, first, lost, due, not self._keep and self.waiting > behind, last)

    def _drop(self, excess: int) -> int:
        """Drops the oldest `excess` frames that wait; returns how many."""
        gone = 0
        while gone < excess:
            block = self._blocks.popleft()
            part = min(len(block.samples), excess - gone)
            if part < len(block.samples):
                self._blocks.appendleft(block.without(part))
            self._before = _joined((*self._before, *block.lost, (QUEUE_FULL, part)))
            gone += part
        self.waiting -= gone
        self.dropped += gone
        return gone


def _joined(losses: Losses) -> Losses:
    """Neighbouring losses of one cause as one."""
    found: list[tuple[LossCause, int]] = []
    for cause, frames in losses:
        if found and found[-1][0] == cause:
            found[-1] = (cause, found[-1][1] + frames)
        else:
            found.append((cause, frames))
    return tuple(found)
