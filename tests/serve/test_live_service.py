"""Sessions at the edge, with a stand-in for what works on them: a client that is away keeps its session and not its time."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest

from tests.stand_ins.served import needs_serve
from voxface.runtime.live.clock import VirtualClock
from voxface.serve.protocol.hello import Hello, Resume
from voxface.serve.state.limits import Limits
from voxface.serve.state.load_meter import FirstCosts, Kind, LoadMeter
from voxface.serve.state.session_registry import Refused, SessionRegistry

pytestmark = needs_serve
pytest.importorskip("prometheus_client", reason="prometheus_client comes with voxface[serve]")

from voxface.serve.live_service import LiveService, Session  # noqa: E402
from voxface.serve.metrics import Metrics  # noqa: E402
from voxface.serve.session_host import Outcome  # noqa: E402

HELLO = Hello()


class Thread:
    """One thread that works on all sessions, and does nothing."""

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.waiting = 0
        self.ready = True
        self.state: Mapping[str, int] = {}

    @property
    def load(self) -> float:
        return sum(stream.share for stream in self.streams)

    def watch(self, metrics: Metrics) -> None:
        pass

    def load_with(self, share: float) -> float | None:
        return self.load + share

    def open(self, hello: Hello, share: float, *, longest: int, start: int) -> Any:
        return Stream(self, hello, share)


class Stream:
    """A session on it."""

    position = faces = received = dropped = 0
    full = finished = False

    def __init__(self, thread: Thread, hello: Hello, share: float) -> None:
        self.hello, self.share, self._thread = hello, share, thread
        self.kind = Kind(hello.mode, hello.updates_per_s)
        thread.streams.add(self)

    def load_with(self, share: float) -> float:
        return self._thread.load + share

    def close(self) -> None:
        self._thread.streams.discard(self)


def service(clock: VirtualClock, **limits: float) -> LiveService:
    """Every session takes a quarter of the thread's time."""
    bounds = Limits(**{"load": 0.8, "resume_load": 0.8, **limits})  # type: ignore[arg-type]
    numbers = count(1)
    meter = LoadMeter(FirstCosts(0.25, {"incremental": 0.0, "exact": 0.0}))
    registry = SessionRegistry(bounds, lambda: f"id{next(numbers)}")
    return LiveService(Thread(), clock, bounds, registry, meter, Metrics())  # type: ignore[arg-type]


def let_in(sessions: LiveService) -> Session:
    found = sessions.open(HELLO, "a")
    assert isinstance(found, Session)
    return found


def back(session: Session) -> Hello:
    return Hello(resume=Resume(session.id, 0, 0))


def test_a_client_that_vanishes_leaves_its_time_to_others() -> None:
    sessions = service(VirtualClock())
    gone, *_ = [let_in(sessions) for _ in range(3)]
    assert sessions.open(HELLO, "a") == Refused("load", 10.0)
    sessions.cut_off(gone, 1)
    let_in(sessions)
    assert sessions.open(HELLO, "a") == Refused("load", 10.0)
    assert len(sessions) == 4, "the session itself waits on"
    assert b"voxface_load 0.75" in sessions._metrics.text()


def test_it_comes_back_as_far_as_there_is_room_and_else_may_try_again() -> None:
    sessions = service(VirtualClock())
    gone, *others = [let_in(sessions) for _ in range(3)]
    sessions.cut_off(gone, 1)
    others.append(let_in(sessions))
    assert sessions.resume(back(gone)) == Refused("load", 10.0)
    assert sessions.registry.count("away") == 1
    sessions.end(others[0], "finished")
    assert sessions.resume(back(gone)) is gone
    assert b'voxface_refused_total{reason="load"} 1.0' in sessions._metrics.text()


def test_resume_load_keeps_room_for_those_who_come_back() -> None:
    sessions = service(VirtualClock(), resume_load=1.1)
    gone, *_ = [let_in(sessions) for _ in range(3)]
    sessions.cut_off(gone, 1)
    let_in(sessions)
    assert sessions.resume(back(gone)) is gone
    assert sessions.open(HELLO, "a") == Refused("load", 10.0)


def test_nobody_is_told_to_go_since_a_session_was_moved() -> None:
    sessions = service(VirtualClock())
    old, young = let_in(sessions), let_in(sessions)
    for _ in range(30):
        sessions.meter.updated(1.0, 0)
    sessions.delivered(old.stream, Outcome(moved=True))
    sessions.sweep()
    assert young.over is None
    for _ in range(30):
        sessions.meter.updated(1.0, 0)  # of sound that had waited
    sessions.sweep()
    assert young.over is None
    assert isinstance(sessions.open(HELLO, "a"), Session)
