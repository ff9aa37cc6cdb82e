"""A live session that a replica works on, as the server has it: its sound, how far it is, and what it begins again with."""

from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.serve.protocol.answers import as_text
from voxface.serve.protocol.hello import Hello
from voxface.serve.ray.live_messages import Finish, Lose, Message, Open, Push, Report
from voxface.serve.state.load_meter import Kind
from voxface.serve.state.outbox import Answer
from voxface.serve.state.sound_log import Entry, Sound, SoundLog

WINDOWS_KEPT: Final = 2  # times the window of speech, as sound: people pause


class RemoteStream:
    """A session; see `voxface.serve.session_host.HostedStream`.

    Attributes:
        id: its number.
        position, number, faces: as its replica has told last.
        since_ns: since when it has had no replica.
        moves: number of times that it has lost one, of late.
        begun_ns: when it was given to its replica.
    """

    def __init__(
        self,
        id: int,
        hello: Hello,
        share: float,
        *,
        longest: int,
        start: int,
        now_ns: Callable[[], int],
        changed: Callable[["RemoteStream"], None],
        load: Callable[["RemoteStream"], float],
        closed: Callable[["RemoteStream"], None],
    ) -> None:
        """Args:
        id: its number.
        hello: what its client sends and wants.
        share: seconds of a thread a second.
        longest: the most frames that may wait.
        start: absolute sample at which it begins.
        now_ns: the clock.
        changed: is called when there is something to tell its replica.
        load: gives the load of its replica.
        closed: is called when it is over.
        """
        self.id, self.hello, self.share = id, hello, share
        self.kind = Kind(hello.mode, hello.updates_per_s)
        kept = min(round(WINDOWS_KEPT * hello.window_s * hello.rate), longest * WINDOWS_KEPT)
        self._log = SoundLog(hello.rate, longest, kept)
        self._longest, self._start, self._now_ns = longest, start, now_ns
        self._changed, self._load, self._closed = changed, load, closed
        self._first: list[Message] | None = None  # what its replica is told first
        self._dropped_before = self._dropped_there = 0
        self._told_end = False
        self.position, self.number, self.faces = start, 0, 0
        self.since_ns, self.begun_ns, self.moves = now_ns(), 0, 0

    # -- the client's ---------------------------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Frames received so far, lost ones included."""
        return self._log.received

    @property
    def dropped(self) -> int:
        """Frames dropped so far, here and there."""
        return self._log.dropped + self._dropped_before + self._dropped_there

    @property
    def finished(self) -> bool:
        """Whether the client has finished."""
        return self._log.finished

    @property
    def full(self) -> bool:
        """Whether a client that is to wait has to."""
        return self._log.full

    def load_with(self, share: float) -> float:
        """Predicted load of its replica, with so much more."""
        return self._load(self) + share

    def push(self, samples: NDArray[Any]) -> int:
        """Takes sound; returns how many frames were dropped here for it."""
        dropped = self._log.push(samples, self._now_ns())
        self._changed(self)
        return dropped

    def lose(self, frames: int) -> None:
        """Frames that never arrived."""
        self._log.lose(frames)
        self._changed(self)

    def finish(self) -> None:
        """The client has finished."""
        self._log.finish()
        self._changed(self)

    def close(self) -> None:
        """Ends it without further answers."""
        self._closed(self)

    # -- the replica's --------------------------------------------------------------------------------------------------

    def begin(self) -> Answer | None:
        """It is given to a replica; returns what the client is told if it had another before."""
        recall = self._log.recall()
        again = self.begun_ns > 0
        moved: Answer | None = None
        if again:
            self.number += 1
            moved = Answer(
                self.number,
                (
                    as_text(
                        {
                            "event": "moved",
                            "position": self.position,
                            "kept_s": round(recall.heard / self.hello.rate, 3),
                            "lost_frames": recall.lost,
                            "number": self.number,
                        }
                    ),
                ),
            )
        start = self._start + recall.first * SAMPLE_RATE // self.hello.rate
        opened = Open(self.id, self.hello, self._longest, start, recall.first, recall.heard, self.number, self.faces)
        self._first = [opened, *self._messages(recall.entries)]
        self._dropped_before += self._dropped_there
        self._dropped_there = 0
        self._told_end = False
        self.begun_ns = max(1, self._now_ns())
        return moved

    def messages(self) -> list[Message]:
        """What its replica is to be told now; it counts as told."""
        found = self._first or []
        self._first = None
        found += self._messages(self._log.unsent())
        if self._log.finished and not self._told_end:
            self._told_end = True
            found.append(Finish(self.id))
        return found

    def told(self, report: Report) -> tuple[list[int], int]:
        """Its replica tells of a turn. Returns how late its faces are, the ways between the machines included, and how many
        frames were dropped there since it told last."""
        now = self._now_ns()
        late = []
        for at, there in zip(report.late_at, report.outcome.late_ns, strict=True):
            due = self._log.due_ns((at - self._start) * self.hello.rate // SAMPLE_RATE)
            late.append(max(0, now - due) if due else there)
        dropped = report.dropped - self._dropped_there
        self._log.hear(report.heard)
        self.position, self.number, self.faces = report.position, report.number, report.faces
        self._dropped_there = report.dropped
        return late, dropped

    def _messages(self, entries: list[Entry]) -> list[Message]:
        now = self._now_ns()
        return [
            Push(self.id, entry.samples, now - entry.due_ns)
            if isinstance(entry, Sound)
            else Lose(self.id, entry.frames, entry.cause)
            for entry in entries
        ]
