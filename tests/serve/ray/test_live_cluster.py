"""Live sessions on a cluster of two nodes, of which one is killed under load: none is lost silently."""

import json
import time
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.ray_nodes import two_nodes, wait_for
from tests.stand_ins.served import Client, needs_serve, served
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import ServedStream

pytest.importorskip("ray.serve", reason="Ray Serve comes with voxface[serve-ray]")
pytestmark = [needs_serve, pytest.mark.slow]

CLIP = np.concatenate(list(read_blocks(SAMPLES[0])))
FIRST = 40_000  # samples of it
PATIENCE_S = 300
PATIENT = {"pace": "wait", "updates_per_second": 1}


class Speaker:
    """A client that says its clip in two parts."""

    def __init__(self, url: str) -> None:
        self.client = Client(url, PATIENT)

    def begin(self) -> None:
        self.client.speak(CLIP[:FIRST])

    def end(self) -> None:
        self.client.speak(CLIP[FIRST:])
        self.client.send({"type": "finish"})

    def listen(self, *kinds: str) -> None:
        """Reads to an event of one of these kinds, or to the end."""
        while (event := self.client.next(PATIENCE_S)) is not None:
            if event["event"] in kinds:
                return

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.client.events]


def gauge(url: str, line: str) -> float:
    lines = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text.splitlines()
    return sum(float(each.split()[-1]) for each in lines if each.startswith(line))


def ready(url: str) -> Any:
    return httpx.get(f"{url}/readyz", trust_env=False, timeout=60).json()


def has_replicas(url: str, count: int) -> bool:
    return bool(ready(url)["replicas"] == count)


def alone() -> list[dict[str, Any]]:
    """What a session gives in one process."""
    with FaceEstimator(threads=1) as estimator:
        hello = Hello(pace="wait", updates_per_s=1)
        stream = ServedStream(hello, estimator, estimator.bundle, longest=1 << 40, now_ns=time.monotonic_ns)
        stream.queue.push(CLIP[:, None], 0)
        stream.queue.finish()
        events = []
        while (piece := stream.next_piece()) is not None:
            events += [json.loads(str(answer.parts[0])) for answer in stream.work(piece).answers]
    return without_times(events)


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name != "latency_ms"} for event in events]


def test_a_node_killed_under_load_loses_no_session() -> None:
    limits = {
        "sessions-of-replica": 2, "replica-idle-s": 1, "load": 100, "late-s": 1000,
        "idle-s": 600, "resume-s": 300, "messages-per-s": 5000,
    }  # fmt: skip
    words = ["--replicas", "1", "--live-replicas", "1:3"]
    words += [word for name, value in limits.items() for word in ("--limit", f"{name}={value}")]
    with two_nodes(cores=4) as nodes, served("--ray", nodes.address, *words) as server:
        assert ready(server.url)["replicas"] == 1
        talking: list[Speaker] = []
        for count, replicas in ((1, 1), (2, 2), (4, 3)):
            while len(talking) < count:
                talking.append(Speaker(server.stream_url))
            wait_for(partial(has_replicas, server.url, replicas), PATIENCE_S)
        talking += [Speaker(server.stream_url) for _ in range(2)]
        with Client(server.stream_url, PATIENT) as one_more:
            assert one_more.welcome["reason"] == "full"
        for each in talking:
            each.begin()
        for each in talking:
            each.listen("face")
        nodes.kill()
        for each in talking:
            each.end()
        for each in talking:
            each.listen()
            assert each.client.closed == (1000, "finished")
        moved = [each for each in talking if "moved" in each.kinds()]
        stayed = [each for each in talking if "moved" not in each.kinds()]
        assert moved, "there was a session on the node that was killed"
        assert stayed, "and on the other"
        assert gauge(server.url, "voxface_sessions_moved_total") == len(moved)
        assert gauge(server.url, 'voxface_replica_failures_total{what="lost"}') >= 1
        for each in talking:
            events = each.client.events[1:-1]
            assert [event["number"] for event in events] == list(range(1, len(events) + 1)), (
                "nothing is missing or twice"
            )
            assert each.client.events[-1]["position"] == len(CLIP), "all sound was heard"
        for each in moved:
            at = each.kinds().index("moved")
            assert each.client.events[at]["lost_frames"] == 0
            assert "face" in each.kinds()[at:]
        wanted = alone()
        for each in stayed:
            assert without_times(each.client.events[1:-1]) == wanted, "bit for bit what one process gives"
        wait_for(partial(has_replicas, server.url, 1), PATIENCE_S)
        late = Speaker(server.stream_url)
        late.begin()
        late.listen("face")
        assert server.stop(timeout_s=PATIENCE_S) == 0
        late.listen()
        assert (late.client.events[-1]["event"], late.client.events[-1]["reason"]) == ("goodbye", "draining")
        assert late.client.closed[0] == 1001
        assert not [event for event in server.events() if "traceback" in event]
