"""`voxface serve --ray` on a cluster of two nodes, of which one is killed under load: no clip lost, none answered twice."""

import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.ray_nodes import two_nodes, wait_for
from tests.stand_ins.served import Client, needs_serve, served
from voxface.runtime.audio.decode import read_blocks

pytest.importorskip("ray.serve", reason="Ray Serve comes with voxface[serve-ray]")
pytestmark = [needs_serve, pytest.mark.slow]

CLIPS = 24
AT_ONCE = 8  # more than two replicas take, so that each has some all the time


def long_clip(folder: Path) -> bytes:
    samples, rate = soundfile.read(SAMPLES[0], dtype="int16")
    soundfile.write(folder / "long.flac", np.tile(samples, 6), rate)
    return (folder / "long.flac").read_bytes()


def metric(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_a_node_killed_under_load_loses_no_clip(tmp_path: Path) -> None:
    clip = long_clip(tmp_path)
    answers: list[tuple[int, str, int]] = []
    numbers = iter(range(CLIPS))
    lock = threading.Lock()

    def ask(url: str) -> None:
        with httpx.Client(trust_env=False, timeout=600) as client:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                files = {"audio": (f"{number}.flac", clip)}
                answer = client.post(f"{url}/v1/faces", files=files)
                document = answer.json()
                name = document["clips"][0]["file"] if answer.status_code == 200 else str(document)
                with lock:
                    answers.append((number, name, answer.status_code))

    with two_nodes() as nodes:
        words = ["--ray", nodes.address, "--replicas", "2", "--limit", "clip-wait-s=500"]
        with served(*words) as server:
            assert metric(server.url, "voxface_clip_retries_total") == 0
            asking = [threading.Thread(target=ask, args=(server.url,)) for _ in range(AT_ONCE)]
            for each in asking:
                each.start()
            wait_for(lambda: len(answers) >= 4, 600)
            nodes.kill()
            for each in asking:
                each.join(600)
            # Every clip has one answer, its own, whichever machine it was on.
            assert sorted(answers) == [(number, f"{number}.flac", 200) for number in range(CLIPS)]
            assert metric(server.url, "voxface_clips_total") == CLIPS
            assert metric(server.url, "voxface_clip_retries_total") > 0, (
                "nothing was under way on the node that was killed"
            )
            # What is wrong with a clip is said as ever, and live sessions go on beside it.
            bad = httpx.post(f"{server.url}/v1/faces", content=b"no sound", trust_env=False, timeout=600)
            assert (bad.status_code, bad.json()["errors"][0]["code"]) == (422, "input")
            with Client(server.stream_url, {"pace": "wait"}) as live:
                for block in read_blocks(SAMPLES[0]):
                    live.socket.send(block.tobytes())
                live.finish()
            assert live.faces()
            assert server.stop(timeout_s=120) == 0, "".join(server.logs[-20:])
            assert not [event for event in server.events() if "traceback" in event]
