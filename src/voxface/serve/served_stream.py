"""One session's sound and its live session: pieces of sound in, answers out. Fed by one thread at a time.

What it makes of its sound depends on nothing but the sound: sessions share engines, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.engines.steps import Steps, finished
from voxface.runtime.live.audio_input import Audio, AudioInput, Item
from voxface.runtime.live.block import Block
from voxface.runtime.live.events import EngineFailed, Event, FaceEstimated, Lost, Rejected, Skipped
from voxface.runtime.live.session import Estimator, LiveSession
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.serve.protocol.answers import answer
from voxface.serve.protocol.hello import Hello
from voxface.serve.state.load_meter import Kind
from voxface.serve.state.outbox import Answer
from voxface.serve.state.sound_queue import Piece, SoundQueue

MOST_FAILURES: Final = 20  # of the engine in a row, after which the session ends
LONGEST_TURN_S: Final = 0.5  # of sound
LONGEST_SILENCE_S: Final = 1.0  # of sound that gives no event, until it is told of all the same


@dataclass
class Turn:
    """What a turn gave.

    Attributes:
        answers: for the client, in order.
        late_ns: of each face, how long after its newest sound was due it was ready; the last face, which a client asks for, has
            none.
        stages_ns: of each face, where the time went.
        late_at: of each of these faces, its position.
        events: what happened.
        busy_s: how long it took, with turns before it that gave nothing.
        sound_s: how much sound they had.
        last: whether the session is over.
        failed: why it is over, if it failed.
    """

    answers: list[Answer] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    stages_ns: list[dict[str, int]] = field(default_factory=list)
    late_at: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    busy_s: float = 0.0
    sound_s: float = 0.0
    last: bool = False
    failed: str | None = None


class ServedStream:
    """The sound of one client.

    Attributes:
        hello: what the client sends and wants.
        kind: what such sessions cost.
        queue: the sound that waits.
        taken: frames that had their turn, lost ones included.
        number: of the newest answer.
        faces: number of faces so far.
        ended: whether nothing more is to be done for it; the lane's.
    """

    def __init__(
        self,
        hello: Hello,
        estimator: Estimator,
        bundle: Bundle,
        *,
        longest: int,
        now_ns: Callable[[], int],
        start: int = 0,
        recalled: int = 0,
    ) -> None:
        """Args:
        estimator: the networks of the bundle, which sessions share.
        longest: the most frames that may wait.
        now_ns: the clock, for latencies alone.
        start: absolute sample at which the session begins.
        recalled: so many frames at first were heard before, elsewhere, where that was told; nothing is told of them.
        """
        self.hello = hello
        self.kind = Kind(hello.mode, hello.updates_per_s)
        self.queue = SoundQueue(hello.rate, longest, keep=hello.pace == "wait")
        self.number = self.faces = self.taken = 0
        self._recalled = recalled
        self.ended = False
        self._untold_busy_s = self._untold_sound_s = 0.0  # of turns that gave nothing, and were not told of yet
        config = hello.config()
        self._session = LiveSession(estimator, config, features=bundle.front_end, vad=bundle.vad, start=start)
        self._input = AudioInput(start=start)
        self._now_ns = now_ns
        self._timer = StageTimer()
        self._hop = max(1, config.hop * hello.rate // SAMPLE_RATE)
        self._most = max(1, min(self._hop, round(LONGEST_TURN_S * hello.rate)))
        self._failures = 0

    @property
    def position(self) -> int:
        """Number of samples at 16 kHz that the session got, lost ones included."""
        return self._session.position

    def worth_telling(self, turn: Turn) -> bool:
        """Whether a turn is to be handed over. One that gave nothing goes with the next that gives something, since most of a
        session's turns give nothing, and waking an event loop costs time."""
        turn.busy_s += self._untold_busy_s
        turn.sound_s += self._untold_sound_s
        self._untold_busy_s = self._untold_sound_s = 0.0
        waits = self.hello.pace == "wait"
        if turn.events or turn.last or waits or turn.sound_s >= LONGEST_SILENCE_S:
            return True
        self._untold_busy_s, self._untold_sound_s = turn.busy_s, turn.sound_s
        return False

    def next_piece(self) -> Piece | None:
        """The sound of the next turn; None: there is nothing to do."""
        left = self._recalled - self.taken
        return self.queue.take(min(self._most, left) if left > 0 else self._most, self._hop)

    def work(self, piece: Piece) -> Turn:
        """Makes answers of a piece of sound."""
        return finished(self.work_steps(piece))

    def work_steps(self, piece: Piece) -> Steps[Turn]:
        """The same in steps, so that runs of engines can be put together with those of other streams."""
        taken = self._now_ns()
        turn = Turn()
        timer = self._timer
        timer.begin()
        if piece.first < self._recalled:
            self._hear_again(piece)
        elif len(piece.samples) or piece.lost:
            yield from self._hear(piece, taken, turn)
        self.taken = piece.first + len(piece.samples)
        if piece.last:
            timer.begin()
            for item in self._input.finish():
                if isinstance(item, Audio):
                    self._take(self._session.feed(item.samples, timer=timer), None, taken, turn)
            self._take(self._session.finish(timer=timer), None, taken, turn)
            turn.last = True
        return turn

    def _items(self, piece: Piece) -> list[Item]:
        block = Block(
            piece.samples,
            self.hello.rate,
            piece.due_ns,
            piece.due_ns,
            first=piece.first,
            lost=piece.lost,
            source="client",
        )
        return self._input.feed(block)

    def _hear_again(self, piece: Piece) -> None:
        """Hears what was heard before, for the sake of what comes after it; most estimates are left out."""
        for item in self._items(piece):
            if isinstance(item, Audio):
                self._session.feed(item.samples, behind=True, timer=self._timer)
            elif isinstance(item, Lost):
                self._session.lose(item.end, timer=self._timer)

    def _hear(self, piece: Piece, taken: int, turn: Turn) -> Steps[None]:
        items = self._items(piece)
        self._timer.lap("intake")
        for item in items:
            if isinstance(item, Audio):
                events = yield from self._session.feed_steps(item.samples, behind=piece.behind, timer=self._timer)
                self._take(events, piece, taken, turn)
                continue
            self._take([item], None, taken, turn)
            if isinstance(item, Lost):
                self._take(self._session.lose(item.end, timer=self._timer), None, taken, turn)

    def _take(self, events: list[Event], piece: Piece | None, taken: int, turn: Turn) -> None:
        for event in events:
            self.number += 1
            turn.events.append(event)
            latency = None
            if isinstance(event, FaceEstimated):
                self.faces += 1
                self._failures = 0
                latency = self._latency(event, piece, taken, turn)
            elif isinstance(event, EngineFailed):
                self._failures += 1
                if self._failures >= MOST_FAILURES:
                    turn.failed, turn.last = f"inference failed {self._failures} times in a row", True
            turn.answers.append(answer(event, self.number, self.hello.wants, latency))

    def _latency(self, event: FaceEstimated, piece: Piece | None, taken: int, turn: Turn) -> dict[str, float] | None:
        stages = dict(event.estimate.stages_ns)
        if piece is None:  # the last face, which the client has asked for
            return {name: ns / 1e6 for name, ns in stages.items()}
        late = max(0, self._now_ns() - self._input.captured_ns(event.position))  # 0: it was ready before it was due
        found = {"queue": max(0, taken - piece.due_ns), **stages}
        turn.late_ns.append(late)
        turn.late_at.append(event.position)
        turn.stages_ns.append(found)
        return {name: ns / 1e6 for name, ns in {**found, "total": late}.items()}


def lost_samples(events: list[Event]) -> dict[str, int]:
    """Samples that were lost, by cause, and those that were "rejected"."""
    found: dict[str, int] = {}
    for event in events:
        if isinstance(event, Lost):
            found[event.cause] = found.get(event.cause, 0) + event.end - event.start
        elif isinstance(event, Rejected):
            found["rejected"] = found.get("rejected", 0) + event.count
    return found


def skipped(events: list[Event]) -> int:
    """Number of estimates that were left out."""
    return sum(isinstance(event, Skipped) for event in events)
