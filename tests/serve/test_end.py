"""How a server ends: SIGTERM under load lets everybody finish and exits 0; after a kill clients go on with a new one."""

import io
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.served import BLOCK, Client, Served, needs_serve, served
from voxface.runtime.audio.decode import read_blocks

pytestmark = needs_serve

SOUND = np.concatenate(list(read_blocks(SAMPLES[0])))


class Speaking(threading.Thread):
    """A client that speaks at its own pace until the server ends its session."""

    def __init__(self, server: Served, number: int, *, finishes: bool) -> None:
        super().__init__(daemon=True)
        self.client = Client(server.stream_url, {"updates_per_second": 4})
        self._at, self._finishes = number * 7001, finishes

    def run(self) -> None:
        listening = threading.Thread(target=self.client.rest, daemon=True)
        listening.start()
        for number in range(1000):
            if self._finishes and any(event["event"] == "draining" for event in self.client.events):
                self.client.offer('{"type":"finish"}')
                break
            at = (self._at + number * BLOCK) % (len(SOUND) - BLOCK)
            if not self.client.offer(SOUND[at : at + BLOCK].tobytes()):
                break  # the session has ended
            time.sleep(BLOCK / 16_000)
        listening.join(30)


@pytest.mark.slow
def test_sigterm_under_load_lets_everybody_finish() -> None:
    with served("--limit", "drain-s=1.5", "--limit", "late-s=100", "--limit", "load=1000") as server:
        clients = [Speaking(server, number, finishes=number % 2 == 0) for number in range(6)]
        away = Client(server.stream_url, {})
        away.drop()
        for client in clients:
            client.start()
        time.sleep(2.5)
        answer: list[Any] = []
        posting = threading.Thread(target=lambda: answer.append(post(server.url)))
        posting.start()
        while "voxface_waiting_clips 1.0" not in httpx.get(f"{server.url}/metrics", trust_env=False).text:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        late = Client(server.stream_url)
        late.send({"type": "hello"})
        late.rest()
        assert late.events[0]["reason"] == "draining"
        assert late.closed[0] == 4503
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 503
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert server.wait(30) == 0
        posting.join(10)
        for client in clients:
            client.join(30)
    assert answer[0] == 200, "a clip that was accepted is done"
    for number, client in enumerate(clients):
        kinds = [event["event"] for event in client.client.events]
        assert "draining" in kinds, number
        assert kinds[-1] == "goodbye", number
        assert client.client.events[-1]["reason"] == "draining"
        assert client.client.faces(), number
        assert client.client.closed[0] == 1001


def post(url: str) -> int:
    """The answer to a clip that takes a second or two."""
    file = io.BytesIO()
    soundfile.write(file, np.tile(SOUND, 15), 16_000, format="FLAC")
    return int(httpx.post(f"{url}/v1/faces", content=file.getvalue(), trust_env=False, timeout=60).status_code)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_nobody_uses_ends_at_once(number: int) -> None:
    with served() as server:
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < 4


def test_a_second_signal_does_not_wait() -> None:
    with served("--limit", "drain-s=60") as server:
        client = Client(server.stream_url, {})
        server.process.send_signal(signal.SIGTERM)
        assert client.until("draining")["seconds"] == 60
        server.process.send_signal(signal.SIGTERM)
        assert server.wait(10) == -signal.SIGTERM


@pytest.mark.slow
def test_after_a_kill_a_client_goes_on_where_it_was(tmp_path: Path) -> None:
    with served() as server:
        port = str(server.about["port"])
        client = Client(server.stream_url, {"pace": "wait"})
        client.speak(SOUND[:48_000])
        face = client.until("face")
        server.stop(signal.SIGKILL)
        client.rest()
        assert client.closed[0] == 1006
    words = ("--port", port)  # the last one counts
    with served(*words) as server:
        resume = {"session": client.welcome["session"], "received": face["number"], "frames": 48_000}
        with Client(server.stream_url, {"pace": "wait", "resume": resume}) as again:
            assert again.welcome["resumed"] is False
            assert again.welcome["position"] == 48_000
            again.speak(SOUND[48_000:])
            events = again.finish()
        assert server.stop() == 0
    assert again.faces()[0]["position"] > 48_000
    assert events[-1]["position"] == len(SOUND)


def test_it_ends_by_itself_after_a_time() -> None:
    with served("--seconds", "0.5") as server:
        assert server.wait(10) == 0
