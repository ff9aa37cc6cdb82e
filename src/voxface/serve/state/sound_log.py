"""The sound of one session that is worked on by another process: what that has not heard yet, and enough of what it has heard
for yet another to go on, should that process be lost. A state machine; frames are numbered from 0, lost ones included.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from voxface.runtime.live.block import QUEUE_FULL
from voxface.runtime.live.events import LossCause
from voxface.serve.state.sound_queue import HURRY, OF_CLIENT

NS: Final = 1_000_000_000


@dataclass(frozen=True)
class Sound:
    """Frames to be heard.

    Attributes:
        samples: int16 or float32 [n, channels].
        due_ns: when the newest was due, see `SoundQueue`.
    """

    samples: NDArray[Any]
    due_ns: int


@dataclass(frozen=True)
class Gap:
    """Frames that nobody will hear."""

    frames: int
    cause: LossCause


Entry = Sound | Gap


@dataclass(frozen=True)
class Recall:
    """What a session is begun again with.

    Attributes:
        first: number of the first frame that was kept.
        heard: so many frames after it were heard before.
        lost: frames before it that nobody has heard.
        entries: what was kept, in order.
    """

    first: int
    heard: int
    lost: int
    entries: list[Entry]


@dataclass(frozen=True)
class _Block:
    first: int
    frames: int
    entry: Entry

    @property
    def end(self) -> int:
        return self.first + self.frames

    def after(self, frame: int) -> "_Block":
        """What of it comes from `frame` on."""
        gone = frame - self.first
        if isinstance(self.entry, Sound):
            return _Block(frame, self.frames - gone, replace(self.entry, samples=self.entry.samples[gone:]))
        return _Block(frame, self.frames - gone, Gap(self.frames - gone, self.entry.cause))


class SoundLog:
    """Sound of a session.

    Attributes:
        received: frames received so far, lost ones included.
        heard: frames that have been worked on.
        dropped: frames dropped here, before they were sent.
        finished: whether the client has finished.
    """

    def __init__(self, rate: int, longest: int, kept: int) -> None:
        """Args:
        rate: frames a second.
        longest: the most frames that may wait.
        kept: frames that are kept after they were heard.
        """
        self._rate, self._longest, self._kept = rate, longest, kept
        self._blocks: deque[_Block] = deque()
        self._sent = 0  # frames sent
        self._next_due = 0
        self.received = self.heard = self.dropped = 0
        self.finished = False

    @property
    def waiting(self) -> int:
        """Frames that were not heard yet."""
        return self.received - self.heard

    @property
    def full(self) -> bool:
        """Whether a client that is to wait has to."""
        return self.waiting >= self._longest

    @property
    def frames(self) -> int:
        """Frames that are kept."""
        return self.received - self._first

    def push(self, samples: NDArray[Any], now_ns: int) -> int:
        """Adds frames [n, channels] that arrived now; returns how many were dropped for them before they were sent."""
        if self.finished or not len(samples):
            return 0
        due = max(self._next_due, now_ns)
        self._next_due = due + round(len(samples) * NS / self._rate / HURRY)
        return self._add(len(samples), Sound(samples, due))

    def lose(self, frames: int) -> None:
        """Frames that never arrived."""
        if not self.finished and frames > 0:
            self._add(frames, Gap(frames, OF_CLIENT))

    def finish(self) -> None:
        """Nothing more comes."""
        self.finished = True

    def unsent(self) -> list[Entry]:
        """What is to be sent; it counts as sent from now on."""
        found: list[Entry] = []
        for block in reversed(self._blocks):  # most of them were sent
            if block.end <= self._sent:
                break
            found.append((block.after(self._sent) if block.first < self._sent else block).entry)
        if self._first > self._sent:
            found.append(Gap(self._first - self._sent, QUEUE_FULL))
        self._sent = self.received
        return found[::-1]

    def hear(self, frame: int) -> None:
        """Everything before this frame was worked on, and told of."""
        self.heard = max(self.heard, min(frame, self.received))
        while self._blocks and self._blocks[0].end <= self.heard - self._kept:
            self._blocks.popleft()

    def recall(self) -> Recall:
        """What another process is to begin with, which goes on where what was told ends; all of it counts as sent."""
        first = self._first
        self._sent = self.received
        return Recall(
            first,
            max(0, self.heard - first),
            max(0, first - self.heard),
            [block.entry for block in self._blocks],
        )

    def due_ns(self, frame: int) -> int:
        """When a frame, of those that are kept, was due."""
        due = 0
        for block in reversed(self._blocks):
            if isinstance(block.entry, Sound):
                due = block.entry.due_ns - (block.end - frame) * NS // self._rate
            if block.first < frame:
                break
        return due

    @property
    def _first(self) -> int:
        return self._blocks[0].first if self._blocks else self.received

    def _add(self, frames: int, entry: Entry) -> int:
        self._blocks.append(_Block(self.received, frames, entry))
        self.received += frames
        dropped = 0
        while len(self._blocks) > 1 and self.frames > self._kept + self._longest:
            gone = self._blocks.popleft()
            if isinstance(gone.entry, Sound):
                dropped += max(0, gone.end - max(gone.first, self._sent))
        self.dropped += dropped
        return dropped
