"""Live sessions on replicas, without a cluster: what each gives, where each is, and what happens where a replica is lost."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from tests.stand_ins.served import needs_serve
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.errors import ProviderError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import ServedStream
from voxface.serve.state.limits import Limits

pytestmark = needs_serve
pytest.importorskip("prometheus_client", reason="prometheus_client comes with voxface[serve]")

from tests.stand_ins.local_replicas import DeafReplica, LocalActors, OtherBundle  # noqa: E402
from voxface.serve.metrics import Metrics  # noqa: E402
from voxface.serve.ray import cluster_host, replica_link  # noqa: E402
from voxface.serve.ray.cluster_host import ClusterHost  # noqa: E402
from voxface.serve.session_host import HostedStream, Outcome  # noqa: E402

SOUND = np.concatenate(list(read_blocks(SAMPLES[0])))[:, None]
PATIENT = Hello(pace="wait", updates_per_s=4.0)
LIMITS = Limits(load=100, resume_load=100, sessions_of_replica=3)
ANY = 1 << 40


class Server:
    """What a server does with its host.

    Attributes:
        outcomes: what was delivered, by session.
    """

    def __init__(self, actors: LocalActors, least: int, most: int, limits: Limits = LIMITS) -> None:
        self.actors, self.metrics = actors, Metrics()
        self.host = ClusterHost(actors, least, most, limits, SystemClock())
        self.outcomes: dict[HostedStream, list[Outcome]] = {}

    async def begin(self) -> None:
        await self.host.begin()
        self.host.watch(self.metrics)
        self.host.start(self.deliver)

    def deliver(self, stream: HostedStream, outcome: Outcome) -> None:
        self.outcomes.setdefault(stream, []).append(outcome)

    def open(self, hello: Hello = PATIENT, share: float = 0.1) -> HostedStream:
        assert self.host.load_with(share) is not None
        return self.host.open(hello, share, longest=ANY, start=0)

    def events(self, stream: HostedStream) -> list[dict[str, Any]]:
        answers = [answer for outcome in self.outcomes.get(stream, []) for answer in outcome.answers]
        events = [json.loads(answer.parts[0]) for answer in answers]
        assert [event["number"] for event in events] == list(range(1, len(events) + 1)), "none is missing or twice"
        for event in events:
            event.pop("latency_ms", None)
        return events

    def kinds(self, stream: HostedStream) -> list[str]:
        return [event["event"] for event in self.events(stream)]

    def over(self, stream: HostedStream) -> bool:
        return any(outcome.last for outcome in self.outcomes.get(stream, []))

    def count(self, metric: str) -> float:
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(metric))

    def homes(self) -> list[int]:
        """How many sessions began on each replica."""
        return [len(actor.streams) for actor in self.actors.started]


def run(work: Callable[[Server], Awaitable[None]], server: Server) -> None:
    async def all_of_it() -> None:
        await server.begin()
        try:
            await work(server)
        finally:
            server.host.stop()
            server.host.close()

    asyncio.run(all_of_it())


async def until(what: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_host, "TICK_S", 0.02)


def alone(sound: NDArray[Any], hello: Hello = PATIENT) -> list[dict[str, Any]]:
    """What a session gives in the process of the server."""
    with FaceEstimator(threads=1) as estimator:
        stream = ServedStream(hello, estimator, estimator.bundle, longest=ANY, now_ns=time.monotonic_ns)
        stream.queue.push(sound, 0)
        stream.queue.finish()
        events = []
        while (piece := stream.next_piece()) is not None:
            events += [json.loads(str(answer.parts[0])) for answer in stream.work(piece).answers]
        for event in events:
            event.pop("latency_ms", None)
        return events


def test_sessions_are_bit_for_bit_what_they_are_in_one_process() -> None:
    sounds = [SOUND[at : at + 48_000] for at in (0, 9_000, 18_000)]

    async def work(server: Server) -> None:
        streams = [server.open() for _ in sounds]
        for at in range(0, 48_000, 3_700):
            for stream, sound in zip(streams, sounds, strict=True):
                stream.push(sound[at : at + 3_700])
            await asyncio.sleep(0)
        for stream in streams:
            stream.finish()
        await until(lambda: all(map(server.over, streams)))
        for stream, sound in zip(streams, sounds, strict=True):
            wanted = alone(sound)
            assert sum(event["event"] == "face" for event in wanted) >= 4
            assert server.events(stream) == wanted
            assert (stream.position, stream.received, stream.faces) == (
                48_000,
                48_000,
                server.kinds(stream).count("face"),
            )
        assert server.homes() == [2, 1], "a replica is filled before the next one is"

    run(work, Server(LocalActors(), 2, 2))


def test_a_session_whose_replica_is_lost_goes_on_with_another() -> None:
    async def work(server: Server) -> None:
        lost, other = server.open(), server.open()
        for stream in (lost, other):
            stream.push(SOUND[:40_000])
        await until(lambda: server.kinds(lost).count("face") >= 3)
        stayed = server.open()
        await until(lambda: server.homes() == [2, 1])
        server.actors.started[0].lose()
        lost.push(SOUND[40_000:])  # while nobody hears it
        await until(lambda: server.kinds(lost).count("moved") + server.kinds(other).count("moved") == 2)
        for stream in (lost, other, stayed):
            stream.finish()
        await until(lambda: all(map(server.over, (lost, other, stayed))))
        events = server.events(lost)
        moved = next(event for event in events if event["event"] == "moved")
        assert moved["lost_frames"] == 0
        assert 1 < moved["kept_s"] <= 2.5
        assert lost.position == len(SOUND), "no sound is missing"
        faces = [event for event in events if event["event"] == "face"]
        positions = [face["position"] for face in faces]
        assert positions == sorted(set(positions)), "no face is told twice"
        assert np.diff(positions).max() <= 2 * 4_000, "and the pace is kept"
        wanted = [event for event in alone(SOUND) if event["event"] == "face"][-1]
        assert float(np.dot(faces[-1]["embedding"], wanted["embedding"])) > 0.98, (
            "it goes on with what was heard before"
        )
        assert server.count("voxface_sessions_moved_total") == 2
        assert server.count('voxface_replica_failures_total{what="lost"}') == 1
        assert server.host.state["replicas"] >= 2, "another replica takes the place of the lost one"

    run(work, Server(LocalActors(), 2, 4))


def test_a_session_is_not_moved_for_ever_and_not_waited_for() -> None:
    def home(server: Server) -> Any:
        return next((actor for actor in server.actors.started if actor.streams and not actor.ended), None)

    async def fails(server: Server) -> None:
        stream = server.open()
        for _ in range(cluster_host.MOST_MOVES + 1):
            await until(lambda: home(server) is not None)
            home(server).lose()
            await until(lambda: home(server) is None)
        await until(lambda: server.over(stream))
        assert server.outcomes[stream][-1].failed == "it lost replica after replica"

    async def waits(server: Server) -> None:
        stream = server.open()
        server.actors.made = OtherBundle
        await until(lambda: server.homes() == [1])
        server.actors.started[0].lose()
        await until(lambda: server.over(stream))
        assert server.outcomes[stream][-1].failed == "no replica had room for it within 0.1 s"
        assert not server.host.ready
        assert server.host.load_with(0.1) is None
        assert server.count('voxface_replica_failures_total{what="did not start"}') >= 1

    run(fails, Server(LocalActors(DeafReplica), 1, 1, Limits(load=100, resume_load=100)))
    run(waits, Server(LocalActors(DeafReplica), 1, 1, Limits(load=100, resume_load=100, resume_s=0.1)))


def test_a_replica_that_says_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_link, "SILENT_BEATS", 2)

    async def work(server: Server) -> None:
        stream = server.open()
        stream.push(SOUND[:20_000])
        await until(lambda: server.homes() == [1])
        server.actors.started[0].fall_silent()
        await until(lambda: "moved" in server.kinds(stream))
        assert server.actors.started[0].ended

    run(work, Server(LocalActors(DeafReplica), 1, 2))


def test_there_are_as_many_replicas_as_sessions_need() -> None:
    limits = Limits(load=100, resume_load=100, sessions_of_replica=2, replica_idle_s=0.05)

    async def work(server: Server) -> None:
        assert server.host.state["replicas"] == 1
        first = [server.open(), server.open()]
        await until(lambda: server.host.state["replicas"] == 2)
        more = [server.open(), server.open()]
        assert server.host.load_with(0.1) is None, "full, at most two"
        for stream in (*first, *more):
            stream.push(SOUND[:4_000])
        await until(lambda: server.homes() == [2, 2])
        for stream in (*first, more[0]):
            stream.close()
        await until(lambda: server.actors.started[0].ended)
        assert not server.actors.started[1].ended, "the one with a session stays"
        more[1].close()
        assert server.host.state["replicas"] == 1, "the least number"
        assert server.host.waiting == 0

    run(work, Server(LocalActors(DeafReplica), 1, 2, limits))


def test_replicas_that_do_not_start_are_told_of_and_the_others_serve() -> None:
    actors = LocalActors(OtherBundle)
    server = Server(actors, 2, 2)
    with pytest.raises(ProviderError, match=r"no replica for live sessions starts: .*another bundle than the server's"):
        asyncio.run(server.begin())
    assert all(actor.ended for actor in actors.started)
    made = iter([OtherBundle])

    def one_and_then_another() -> Any:
        return next(made, DeafReplica)()

    half = Server(LocalActors(one_and_then_another), 2, 2)

    async def work(server: Server) -> None:
        assert server.host.ready
        assert server.host.state == {"replicas": 1, "replicas_starting": 0, "replicas_failed": 1}
        assert server.count('voxface_replica_failures_total{what="did not start"}') == 1
        assert server.count('voxface_replicas{state="ready"}') == 1
        server.open()

    run(work, half)


def test_a_closed_session_says_nothing_more_and_leaves_its_room() -> None:
    async def work(server: Server) -> None:
        stream = server.open()
        stream.push(SOUND[:40_000])
        await until(lambda: server.outcomes.get(stream))
        stream.close()
        said = len(server.outcomes[stream])
        other = server.open()
        other.push(SOUND[:40_000])
        other.finish()
        await until(lambda: server.over(other))
        assert len(server.outcomes[stream]) == said

    run(work, Server(LocalActors(), 1, 1))
