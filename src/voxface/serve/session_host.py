"""Where live sessions are worked on: lanes of this process, or replicas of a cluster. The edge does not know which.

All of it is used on the event loop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from voxface.runtime.live.events import EngineFailed, Event, FaceEstimated
from voxface.serve.metrics import Metrics
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import Turn, lost_samples, skipped
from voxface.serve.state.load_meter import Kind
from voxface.serve.state.outbox import Answer


@dataclass(frozen=True)
class Tally:
    """What happened in a turn, in numbers.

    Attributes:
        lost: samples that were lost, by cause.
        faces, skipped, failures: faces, estimates left out, estimates that failed.
    """

    lost: Mapping[str, int] = field(default_factory=dict)
    faces: int = 0
    skipped: int = 0
    failures: int = 0

    @classmethod
    def of(cls, events: list[Event]) -> "Tally":
        """That of events."""
        if not events:
            return NOTHING
        return cls(
            lost_samples(events),
            sum(isinstance(event, FaceEstimated) for event in events),
            skipped(events),
            sum(isinstance(event, EngineFailed) for event in events),
        )


NOTHING: Final = Tally()


@dataclass(frozen=True)
class Outcome:
    """What a turn of a session gave; see `voxface.serve.served_stream.Turn`. It may come from another machine.

    Attributes:
        moved: whether the session has begun anew elsewhere, so that the next updates are late.
    """

    answers: list[Answer] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    stages_ns: list[dict[str, int]] = field(default_factory=list)
    tally: Tally = NOTHING
    busy_s: float = 0.0
    sound_s: float = 0.0
    last: bool = False
    failed: str | None = None
    moved: bool = False

    @classmethod
    def of(cls, turn: Turn) -> "Outcome":
        """That of a turn."""
        return cls(
            turn.answers,
            turn.late_ns,
            turn.stages_ns,
            Tally.of(turn.events),
            turn.busy_s,
            turn.sound_s,
            turn.last,
            turn.failed,
        )


class HostedStream(Protocol):
    """The sound of one client, wherever it is worked on.

    Attributes:
        hello: what the client sends and wants.
        kind: what such sessions cost.
        share: seconds of an inference thread that it is predicted to take a second; 0 while no sound is to come.
    """

    hello: Hello
    kind: Kind
    share: float

    @property
    def position(self) -> int:
        """Number of samples at 16 kHz that the session got, lost ones included."""
        ...

    @property
    def number(self) -> int:
        """Number of the newest answer."""
        ...

    @property
    def faces(self) -> int:
        """Number of faces so far."""
        ...

    @property
    def received(self) -> int:
        """Frames received so far, lost ones included."""
        ...

    @property
    def dropped(self) -> int:
        """Frames dropped so far, since too many waited."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the client has finished."""
        ...

    @property
    def full(self) -> bool:
        """Whether a client that is to wait has to."""
        ...

    def load_with(self, share: float) -> float:
        """Predicted load of the thread that works for it, with so much more."""
        ...

    def push(self, samples: NDArray[Any]) -> int:
        """Takes sound [n, channels]; returns how many frames were dropped for it, as far as that is known at once."""
        ...

    def lose(self, frames: int) -> None:
        """Frames that never arrived."""
        ...

    def finish(self) -> None:
        """The client has finished; the last turn gives the last answers."""
        ...

    def close(self) -> None:
        """Ends it without further answers."""
        ...


Deliver = Callable[[HostedStream, Outcome], None]


class SessionHost(Protocol):
    """What works on sessions."""

    @property
    def load(self) -> float:
        """The largest predicted load of a thread."""
        ...

    @property
    def waiting(self) -> int:
        """Number of sessions whose sound waits for a thread, as far as that is known here."""
        ...

    @property
    def state(self) -> Mapping[str, int]:
        """What `/readyz` tells of it; nothing where there is nothing to tell."""
        ...

    @property
    def ready(self) -> bool:
        """Whether anything is there that works."""
        ...

    def watch(self, metrics: Metrics) -> None:
        """Gives the metrics that it has itself."""
        ...

    def start(self, deliver: Deliver) -> None:
        """On the event loop: begins to work; `deliver` gets on the loop what each turn gave."""
        ...

    def stop(self) -> None:
        """On the event loop: delivers nothing more."""
        ...

    def load_with(self, share: float) -> float | None:
        """Predicted load of the thread that would take a session of this share, with it; None: there is no room anywhere."""
        ...

    def open(self, hello: Hello, share: float, *, longest: int, start: int) -> HostedStream:
        """A session where `load_with` says that there is room.

        Args:
            hello: what the client sends and wants.
            share: seconds of a thread a second.
            longest: the most frames that may wait.
            start: absolute sample at which it begins.
        """
        ...

    def stuck(self, seconds: float) -> bool:
        """Whether a thread has been at one turn for so long."""
        ...

    def close(self) -> None:
        """Ends threads, and what else it has."""
        ...
