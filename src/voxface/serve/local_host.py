"""Live sessions in the process of the server: lanes, each with networks of its own."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.session import Estimator
from voxface.serve.lane import Lane, Turns
from voxface.serve.metrics import Metrics
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import ServedStream, Turn
from voxface.serve.session_host import Deliver, Outcome


@dataclass
class _Place:
    """A lane, its networks, and its sessions."""

    lane: Lane
    estimator: Estimator
    streams: set["LocalStream"] = field(default_factory=set)

    @property
    def load(self) -> float:
        return sum(stream.share for stream in self.streams)


class LocalStream(ServedStream):
    """A session in a lane; see `voxface.serve.session_host.HostedStream`."""

    def __init__(
        self,
        hello: Hello,
        place: _Place,
        bundle: Bundle,
        share: float,
        *,
        longest: int,
        now_ns: Callable[[], int],
        start: int,
    ) -> None:
        super().__init__(hello, place.estimator, bundle, longest=longest, now_ns=now_ns, start=start)
        self.share = share
        self._place = place
        place.streams.add(self)
        place.lane.open(self)

    @property
    def received(self) -> int:
        """Frames received so far, lost ones included."""
        return self.queue.received

    @property
    def dropped(self) -> int:
        """Frames dropped so far."""
        return self.queue.dropped

    @property
    def finished(self) -> bool:
        """Whether the client has finished."""
        return self.queue.finished

    @property
    def full(self) -> bool:
        """Whether a client that is to wait has to."""
        return self._place.lane.full(self)

    def load_with(self, share: float) -> float:
        """Predicted load of its lane, with so much more."""
        return self._place.load + share

    def push(self, samples: NDArray[Any]) -> int:
        """Takes sound; returns how many frames were dropped for it."""
        return self._place.lane.push(self, samples)

    def lose(self, frames: int) -> None:
        """Frames that never arrived."""
        self._place.lane.lose(self, frames)

    def finish(self) -> None:
        """The client has finished."""
        self._place.lane.finish(self)

    def close(self) -> None:
        """Ends it without further answers."""
        self._place.lane.close_session(self)
        self._place.streams.discard(self)


class LocalHost:
    """The lanes; see `voxface.serve.session_host.SessionHost`."""

    def __init__(self, bundle: Bundle, clock: Clock) -> None:
        self._bundle, self._clock = bundle, clock
        self._places: list[_Place] = []
        self._deliver: Deliver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add_lane(self, estimator: Estimator, *, workers: int = 1, batches: Turns | None = None) -> None:
        """Adds a lane for sessions to come; see `Lane`."""
        name = f"lane-{len(self._places) + 1}"
        lane = Lane(self._clock, self._hand_over, workers=workers, batches=batches, name=name)
        self._places.append(_Place(lane, estimator))

    @property
    def load(self) -> float:
        """The largest predicted load of a lane."""
        return max((place.load for place in self._places), default=0.0)

    @property
    def waiting(self) -> int:
        """Number of sessions whose sound waits for a thread."""
        return sum(place.lane.waiting for place in self._places)

    @property
    def state(self) -> Mapping[str, int]:
        """Nothing."""
        return {}

    @property
    def ready(self) -> bool:
        """The lanes are there from the beginning."""
        return True

    def watch(self, metrics: Metrics) -> None:
        """It has no metrics of its own."""

    def start(self, deliver: Deliver) -> None:
        """On the event loop: from now on turns are handed over to it."""
        self._loop, self._deliver = asyncio.get_running_loop(), deliver

    def stop(self) -> None:
        """The event loop ends."""
        self._loop = None

    def load_with(self, share: float) -> float | None:
        """Predicted load of the lane that would take a session, with it."""
        return self._freest().load + share

    def open(self, hello: Hello, share: float, *, longest: int, start: int) -> LocalStream:
        """A session in the lane that has most room."""
        place = self._freest()
        return LocalStream(hello, place, self._bundle, share, longest=longest, now_ns=self._clock.now_ns, start=start)

    def stuck(self, seconds: float) -> bool:
        """Whether a lane has been at one turn for so long."""
        return any(place.lane.busy_s() > seconds for place in self._places)

    def close(self) -> None:
        """Ends the threads."""
        for place in self._places:
            place.lane.close()

    def _freest(self) -> _Place:
        return min(self._places, key=lambda place: place.load)

    def _hand_over(self, stream: ServedStream, turn: Turn) -> None:
        """On a lane's thread: hands a turn over to the event loop, unless that has ended."""
        loop, deliver = self._loop, self._deliver
        if not stream.worth_telling(turn) or loop is None or deliver is None:
            return
        assert isinstance(stream, LocalStream)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, stream, Outcome.of(turn))
