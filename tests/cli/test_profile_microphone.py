"""`voxface profile --mic` at a virtual microphone: real PortAudio, a voice played into it, nobody there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.stand_ins.virtual_microphone import virtual_microphone
from tests.trace_rules import read_trace, stages_of
from voxface.runtime.profile.synthetic_voice import synthetic_voice

VOXFACE = [sys.executable, "-m", "voxface"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "voice.wav"
    soundfile.write(path, synthetic_voice(20.0), 16_000)
    return path


def test_capture_to_estimate(clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "t.json"
    with virtual_microphone() as speaker:
        playing = speaker.play(clip)
        command = [*VOXFACE, "profile", "--mic", "--seconds", "4", "--window", "2", "--trace", trace, "--json"]
        done = subprocess.run(command, env=speaker.environment, capture_output=True, timeout=60, check=False)
        playing.terminate()
        playing.wait(10)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["settings"]["source"] == "microphone"
    assert document["device"]["xruns"] == 0
    assert document["counters"]["lost"] == {}
    assert document["counters"]["blocks"] > 300
    # On a machine too busy to keep up estimates are left out, and said to be; the rest is there.
    assert document["updates"] >= 1
    assert document["updates"] + document["counters"]["skipped_estimates"] >= 15
    response, service = document["response_ms"], document["service_ms"]
    assert 0 < response["p50"] <= response["p99"] <= response["max"]
    assert response["max"] >= service["p50"]
    assert set(document["waiting_ms"]) == {"capture", "queue"}
    assert 0.98 <= document["staged"] <= 1.0
    print(f"capture to estimate p50 {response['p50']:.1f} ms, p99 {response['p99']:.1f} ms")
    events = read_trace(trace)
    names = {e["args"]["name"] for e in events["traceEvents"] if e["name"] == "thread_name"}
    assert {"MainThread", "microphone", "voxface-inference", "voxface-profile"} <= names
    updates = stages_of(events, "update")
    assert len(updates) == document["updates"]
    whole = sum(update["dur"] for update, _ in updates)
    assert sum(stage["dur"] for _, stages in updates for stage in stages) == pytest.approx(whole, rel=0.02)


def test_nobody_speaks() -> None:
    with virtual_microphone() as speaker:
        command = [*VOXFACE, "profile", "--mic", "--seconds", "1.5", "--json"]
        done = subprocess.run(command, env=speaker.environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 4
    (error,) = json.loads(done.stdout)["errors"]
    assert error["exit_code"] == 4
    assert b"no face in 1." in done.stderr
    assert b"Traceback" not in done.stderr
