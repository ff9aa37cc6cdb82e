"""What the server and a replica for live sessions say to each other. Sessions are numbers here; their names are secret."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from voxface.runtime.live.events import LossCause
from voxface.serve.protocol.hello import Hello
from voxface.serve.session_host import Outcome


@dataclass(frozen=True)
class Open:
    """A session begins, or goes on.

    Attributes:
        stream: number of the session.
        hello: what its client sends and wants.
        longest: the most frames that may wait.
        start: absolute sample of the first frame that comes.
        first: number of that frame.
        recalled: so many frames at first were heard before.
        number: of the newest answer that was given before.
        faces: number of faces before.
    """

    stream: int
    hello: Hello
    longest: int
    start: int = 0
    first: int = 0
    recalled: int = 0
    number: int = 0
    faces: int = 0


@dataclass(frozen=True)
class Push:
    """Sound [n, channels], and how long ago it was due when it was sent: the clocks of two machines tell different times."""

    stream: int
    samples: NDArray[Any]
    age_ns: int


@dataclass(frozen=True)
class Lose:
    """Frames are missing."""

    stream: int
    frames: int
    cause: LossCause


@dataclass(frozen=True)
class Finish:
    """The client has finished."""

    stream: int


@dataclass(frozen=True)
class Close:
    """The session is over."""

    stream: int


Message = Open | Push | Lose | Finish | Close


@dataclass(frozen=True)
class Report:
    """What a turn gave, and how far its session is.

    Attributes:
        stream: number of the session.
        outcome: what the turn gave.
        late_at: positions of the faces that `outcome.late_ns` speaks of.
        heard: number of the first frame that has not had its turn.
        position: absolute samples.
        number: of the newest answer.
        faces: number of faces.
        dropped: frames dropped since the session has been here.
    """

    stream: int
    outcome: Outcome
    late_at: list[int] = field(default_factory=list)
    heard: int = 0
    position: int = 0
    number: int = 0
    faces: int = 0
    dropped: int = 0
