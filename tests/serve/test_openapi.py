"""Schemathesis on the REST API: what its document allows and what it forbids, and answers as it says."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.stand_ins.served import needs_serve, served

pytestmark = [
    needs_serve,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis comes with voxface[dev]"),
]


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Left out is the check that every body the document allows is accepted: no schema says what is speech."""
    with served("--limit", "body-s=3", "--limit", "clip-s=10") as server:
        done = subprocess.run(
            [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
             f"{server.url}/openapi.json", "--max-examples", "40", "--checks", "all",
             "--exclude-checks", "positive_data_acceptance", "--generation-database", "none"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "6 selected / 6 total" in done.stdout
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert server.stop() == 0
        assert not [event for event in server.events() if "traceback" in event]
