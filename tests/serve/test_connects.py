"""Ten thousand connects to a server that is full: each is refused and counted, and those who are served notice nothing."""

import contextlib
import socket

import httpx
import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.served import Client, needs_serve, served
from voxface.runtime.audio.decode import read_blocks

pytestmark = [needs_serve, pytest.mark.slow]

OPEN = 40
CONNECTS = 10_000
LIMITS = (f"connections={OPEN}", "connections-per-s=10000", "header-s=600", "idle-s=600", "load=1000", "late-s=1000")


def refused_at_once(port: int) -> bool:
    """Whether a connection is closed by the server before anything is said."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as one, contextlib.suppress(ConnectionError):
        return one.recv(1) == b""
    return True


def test_ten_thousand_connects() -> None:
    sound = np.concatenate(list(read_blocks(SAMPLES[0])))
    words = [word for limit in LIMITS for word in ("--limit", limit)]
    with served(*words) as server:
        port = int(server.about["port"])
        with Client(server.stream_url, {"pace": "wait"}) as client:
            held = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(OPEN)]
            step = len(sound) // 10
            refused = 0
            for at in range(0, 10 * step, step):
                client.speak(sound[at : at + step], 4000)
                refused += sum(refused_at_once(port) for _ in range(CONNECTS // 10))
            assert refused == CONNECTS
            events = client.finish()
        assert events[-1]["reason"] == "finished"
        assert len(client.faces()) > 5
        for each in held:
            each.close()
        # Whether the last of those that were held was let in is a matter of one.
        with Client(server.stream_url, {"pace": "wait"}) as late:
            late.speak(sound, 4000)
            late.finish()
        assert late.faces()
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        text = httpx.get(f"{server.url}/metrics", trust_env=False).text
        (line,) = [line for line in text.splitlines() if line.startswith('voxface_refused_total{reason="connections"}')]
        assert 0 <= float(line.split()[-1]) - CONNECTS <= 2
        assert server.stop() == 0
        assert not [event for event in server.events() if "traceback" in event]
