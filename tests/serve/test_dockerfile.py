"""The Dockerfile: built and run where a container tool works, else read; and the server under what the container allows."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.stand_ins.served import needs_serve, served
from voxface.serve.health_check import healthy

pytestmark = needs_serve
TOKEN = "only-for-this-test-0123456789"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def test_what_a_linter_asks_for() -> None:
    found = instructions()
    last = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    final = dict(found[last:])
    assert final["USER"].split(":")[0] not in ("root", "0", "")
    assert {name for name, _ in found} <= {
        "ARG", "FROM", "COPY", "RUN", "USER", "WORKDIR", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT",
    }  # fmt: skip
    assert all(not re.search(r":latest|^\w+$", words.split(" AS ")[0]) for name, words in found if name == "FROM")
    assert all("sudo" not in words and "--no-cache-dir" in words for name, words in found if "pip install" in words)
    assert final["ENTRYPOINT"].startswith('["'), "the server itself gets SIGTERM, not a shell"
    assert "serve" in final["ENTRYPOINT"]
    order = [name for name, _ in found[last:]]
    assert order.index("USER") > order.index("RUN")
    for name, words in found:
        if name == "COPY" and "--from" not in words:
            for source in words.split()[:-1]:
                assert (ROOT / source).exists(), source
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*", "nothing goes into the image but what is named"


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "geteuid"), reason="Linux alone")
def test_it_serves_where_nothing_can_be_written(tmp_path: Path) -> None:
    """As in the container: a home that is not there, temporary folders that cannot be written."""
    environment = {
        "HOME": "/nonexistent",
        "TMPDIR": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "VOXFACE_TOKEN": TOKEN,
    }
    with served(environment=environment) as server:
        assert healthy(int(server.about["port"]))
        import httpx

        sample = (ROOT / "examples" / "sample_female.flac").read_bytes()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(
            f"{server.url}/v1/faces", content=sample, headers=headers, trust_env=False, timeout=60
        ).is_success
        assert server.stop() == 0


def test_the_health_check_says_when_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    assert not healthy(port)
    done = subprocess.run([sys.executable, "-m", "voxface.serve.health_check", str(port)], check=False)
    assert done.returncode == 1


@pytest.mark.slow
def test_the_image_is_built_and_serves() -> None:
    docker = shutil.which("docker") or shutil.which("podman")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container tool works here; the Dockerfile is read only")
    name = f"voxface-test-{os.getpid()}"
    built = subprocess.run([docker, "build", "-t", name, ROOT], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    run = [
        docker,
        "run",
        "-d",
        "--rm",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--name",
        name,
        "-e",
        f"VOXFACE_TOKEN={TOKEN}",
    ]
    subprocess.run([*run, "-p", "127.0.0.1:0:8765", name, "--insecure"], check=True, capture_output=True)
    try:
        said = subprocess.run([docker, "port", name, "8765"], check=True, capture_output=True, text=True).stdout
        port = int(said.splitlines()[0].rsplit(":", 1)[1])
        until = time.monotonic() + 60
        while not healthy(port):
            assert time.monotonic() < until
            time.sleep(0.5)
    finally:
        subprocess.run([docker, "stop", "-t", "10", name], check=False, capture_output=True)
        subprocess.run([docker, "rmi", name], check=False, capture_output=True)
