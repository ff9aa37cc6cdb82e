"""Live sessions on a cluster of two nodes, of which one is killed under load: none is lost silently."""

import json
import time
from threading import Thread
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
SOUND = np.tile(CLIP, 4)
PATIENT = {"pace": "wait", "updates_per_second": 1}


class Speaking(Thread):
    """A client that speaks as fast as it may, until it is told to finish, and listens beside that."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.client = Client(url, PATIENT)
        self.heard = Thread(target=self.client.rest, daemon=True)
        self.finishes = False
        self.sent = 0

    def run(self) -> None:
        self.heard.start()
        while not (self.finishes and self.sent >= len(SOUND)):
            at = self.sent % len(SOUND)
            self.client.socket.send(SOUND[at : at + 8_000].tobytes())
            self.sent += len(SOUND[at : at + 8_000])
        self.client.send({"type": "finish"})
        self.heard.join(300)

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.client.events]


def gauge(url: str, line: str) -> float:
    lines = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text.splitlines()
    return sum(float(each.split()[-1]) for each in lines if each.startswith(line))


def ready(url: str) -> Any:
    return httpx.get(f"{url}/readyz", trust_env=False, timeout=60).json()


def alone(samples: Any) -> list[dict[str, Any]]:
    """What a session gives in one process."""
    with FaceEstimator(threads=1) as estimator:
        hello = Hello(pace="wait", updates_per_s=1)
        stream = ServedStream(hello, estimator, estimator.bundle, longest=1 << 40, now_ns=time.monotonic_ns)
        stream.queue.push(samples[:, None], 0)
        stream.queue.finish()
        events = []
        while (piece := stream.next_piece()) is not None:
            events += [json.loads(str(answer.parts[0])) for answer in stream.work(piece).answers]
    return without_times(events)


def without_times(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in event.items() if name != "latency_ms"} for event in events]


def test_a_node_killed_under_load_loses_no_session() -> None:
    words = ["--replicas", "1", "--live-replicas", "1:3", "--limit", "sessions-of-replica=2", "--limit", "load=100"]
    soon = [
        "--limit",
        "replica-idle-s=1",
        "--limit",
        "late-s=1000",
        "--limit",
        "resume-s=300",
        "--limit",
        "messages-per-s=5000",
    ]
    with two_nodes(cores=4) as nodes, served("--ray", nodes.address, *words, *soon) as server:
        assert ready(server.url)["replicas"] == 1
        talking: list[Speaking] = []
        for count, replicas in ((1, 1), (2, 2), (4, 3)):
            while len(talking) < count:
                talking.append(Speaking(server.stream_url))
            wait_for(lambda wanted=replicas: ready(server.url)["replicas"] == wanted, 300)  # type: ignore[misc]
        talking += [Speaking(server.stream_url) for _ in range(2)]
        with Client(server.stream_url, PATIENT) as one_more:
            assert one_more.welcome["reason"] == "full"
        for each in talking:
            each.start()
        wait_for(lambda: all("face" in each.kinds() for each in talking), 300)
        nodes.kill()
        wait_for(lambda: gauge(server.url, 'voxface_replica_failures_total{what="lost"}') >= 1, 300)
        wait_for(
            lambda: (
                gauge(server.url, "voxface_sessions_moved_total") % 2 == 0
                and not ready(server.url)["replicas_starting"]
            ),
            300,
        )
        for each in talking:
            each.finishes = True
        for each in talking:
            each.join(600)
            assert each.client.closed == (1000, "finished")
        moved = [each for each in talking if "moved" in each.kinds()]
        stayed = [each for each in talking if "moved" not in each.kinds()]
        assert moved, "there was a session on the node that was killed"
        assert stayed, "and on the other"
        assert gauge(server.url, "voxface_sessions_moved_total") == len(moved)
        for each in talking:
            events = each.client.events[1:-1]
            assert [event["number"] for event in events] == list(range(1, len(events) + 1)), (
                "nothing is missing or twice"
            )
            assert each.client.events[-1]["position"] == each.sent, "all sound was heard"
        for each in moved:
            events = each.client.events
            at = each.kinds().index("moved")
            assert events[at]["lost_frames"] == 0
            assert any(event["event"] == "face" for event in events[at:])
        wanted = alone(np.resize(SOUND, stayed[0].sent))
        assert without_times(stayed[0].client.events[1:-1]) == wanted, "bit for bit what one process gives"
        wait_for(lambda: ready(server.url)["replicas"] == 1, 300)
        late = Client(server.stream_url, PATIENT)
        late.speak(CLIP[:32_000])
        late.until("face")
        assert server.stop(timeout_s=120) == 0
        assert [event["event"] for event in late.rest()][-1] == "goodbye"
        assert late.events[-1]["reason"] == "draining"
        assert late.closed[0] == 1001
        assert not [event for event in server.events() if "traceback" in event]
