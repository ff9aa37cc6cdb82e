"""Sessions leave nothing behind: memory after hundreds of them is that after the first."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.served import Client, Served, needs_serve, served
from voxface.runtime.audio.decode import read_blocks

pytestmark = [needs_serve, pytest.mark.slow]
SOUND = np.concatenate(list(read_blocks(SAMPLES[1])))[:24_000]


def resident_mb(server: Served) -> float:
    statm = Path(f"/proc/{server.process.pid}/statm")
    if not statm.exists():
        pytest.skip("the system does not tell how much memory a process has")
    return int(statm.read_text().split()[1]) * 4096 / 1e6


def some(server: Served, count: int) -> None:
    """Sessions of every end: finished, cut off, and refused for garbage."""
    for number in range(count):
        client = Client(server.stream_url, {"pace": "wait", "wants": ["vertices"]})
        client.speak(SOUND)
        if number % 3 == 0:
            client.finish()
            assert client.faces()
        elif number % 3 == 1:
            client.drop()
        else:
            for _ in range(3):
                client.socket.send(b"odd")
            client.rest()
            assert client.closed[0] == 4415


def test_memory_is_flat() -> None:
    with served(
        "--limit", "resume-s=0.1", "--limit", "garbage=2", "--limit", "load=1000", "--limit", "late-s=1000"
    ) as server:
        some(server, 60)
        after_few = resident_mb(server)
        some(server, 240)
        after_many = resident_mb(server)
        assert server.stop() == 0
    assert after_many - after_few < 12, "a session leaves less than 50 kB behind; its window alone is a megabyte"
