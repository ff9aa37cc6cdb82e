"""The clients of examples/serve/, each as a program of its own against a server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.served import needs_serve, served

pytestmark = [needs_serve, pytest.mark.slow]
EXAMPLES = ROOT / "examples" / "serve"
TOKEN = "only-for-this-test-0123456789"


def client(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "VOXFACE_TOKEN": TOKEN}
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=environment)


def test_a_client_in_python() -> None:
    script = EXAMPLES / "client.py"
    assert "python examples/serve/client.py http" in script.read_text()
    with served(environment={"VOXFACE_TOKEN": TOKEN}) as server:
        done = client(sys.executable, script, server.url, SAMPLES[0], "--pace", "wait")
        assert done.returncode == 0, done.stderr
        live = client(sys.executable, script, server.url, SAMPLES[1])
        assert live.returncode == 0, live.stderr
        assert server.stop() == 0
    for said in (done.stdout, live.stdout):
        assert re.search(r"face after [67]\.\d s of speech: 1\d\d\.\d mm wide", said)
        assert re.search(r"goodbye \(finished\) after \d\d faces", said)
    gone = client(sys.executable, script, server.url, SAMPLES[0])
    assert gone.returncode == 1
    assert "no session" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_a_client_in_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here")
    major = int(
        subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout[1:].split(".")[0]
    )
    if major < 20:
        pytest.skip("node has no WebSocket before version 20.10")
    samples, rate = soundfile.read(SAMPLES[0], dtype="int16")
    soundfile.write(tmp_path / "voice.wav", samples, rate, subtype="PCM_16")
    words: list[str | Path] = [node, *(["--experimental-websocket"] if major < 22 else []), EXAMPLES / "client.mjs"]
    with served(environment={"VOXFACE_TOKEN": TOKEN}) as server:
        done = client(*words, server.url, tmp_path / "voice.wav")
        assert server.stop() == 0
    assert done.returncode == 0, done.stderr
    assert re.search(r"face after 7\.\d s of speech: 1\d\d\.\d mm wide", done.stdout)
    assert re.search(r"closed with 1000 \(finished\); the mesh has \d{4,} vertices", done.stdout)
