"""`voxface serve` before it serves: options that cannot be, where it may listen, TLS."""

import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.served import needs_serve, served
from voxface.runtime.errors import InputError, UsageError

pytestmark = needs_serve


TOKEN = "only-for-this-test-0123456789"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--host", "0.0.0.0"], UsageError.exit_code, "others reach it"),
        (["--host", "0.0.0.0", "--token", TOKEN], UsageError.exit_code, "give --certificate and --key;"),
        (["--token", "short"], UsageError.exit_code, "at least 16 letters"),
        (["--host", "no.such.host.invalid", "--insecure"], UsageError.exit_code, "no address of this machine"),
        (["--port", "70000"], UsageError.exit_code, "--port 70000"),
        (["--lanes", "0"], UsageError.exit_code, "--lanes 0"),
        (["--batch-ms", "-1"], UsageError.exit_code, "--batch-ms -1"),
        (["--seconds", "0"], UsageError.exit_code, "--seconds 0"),
        (["--live-replicas", "2"], UsageError.exit_code, "--live-replicas: are of --ray"),
        (["--ray", "--live-replicas", "2:1"], UsageError.exit_code, "--live-replicas 2:1: N or MIN:MAX"),
        (["--ray", "--live-replicas", "2", "--lanes", "2"], UsageError.exit_code, "leave --lanes and --batch-ms out"),
        (["--certificate", "c.pem"], UsageError.exit_code, "go together"),
        (["--certificate", "c.pem", "--key", "k.pem"], InputError.exit_code, "TLS takes them not"),
        (["--limit", "volume=11"], UsageError.exit_code, "no such limit; there are body-bytes"),
        (["--limit", "sessions"], UsageError.exit_code, "give NAME=NUMBER"),
        (["--limit", "sessions=1.5"], UsageError.exit_code, "give NAME=NUMBER, a whole number"),
        (["--limit", "sessions=0"], UsageError.exit_code, "--limit sessions=0"),
        (["--limit", "idle-s=inf"], UsageError.exit_code, "--limit idle-s=inf: more than 0, and finite"),
        (["--origin", "not a page"], UsageError.exit_code, "--origin not a page: give a scheme and a host"),
        (["--origin", "https://example.org/page"], UsageError.exit_code, "and no path"),
        (["--bundle", "nope"], 6, "no such bundle"),
        (["--provider", "cuda"], 5, "cuda"),
    ],
)
def test_what_cannot_be(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--port", "0", "--seconds", "5", *words) == code
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert run("serve", "--port", str(port), "--seconds", "1") == UsageError.exit_code
    assert "cannot listen there" in capsys.readouterr().err


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself."""
    pem, key = tmp_path / "c.pem", tmp_path / "k.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", pem],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not here")
    return pem, key


@pytest.mark.slow
def test_tls_and_a_token(certificate: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    pem, key = certificate
    environment = {"VOXFACE_TOKEN": TOKEN}
    with served("--certificate", pem, "--key", key, "--host", "0.0.0.0", environment=environment) as server:
        assert server.about["token_required"] is True
        assert TOKEN not in str(server.about)
        url = f"https://127.0.0.1:{server.about['port']}"
        context = ssl.create_default_context(cafile=pem)
        with httpx.Client(verify=context, trust_env=False) as client:
            assert client.get(f"{url}/v1/bundle").status_code == 401
            assert client.get(f"{url}/healthz").status_code == 200
            assert client.get(f"{url}/v1/bundle", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        words = ["load", url, "--streams", "1", "--audio", SAMPLES[0], "--seconds", "2", "--ca", pem]
        assert run(*words) == 5
        assert "HTTP 401" in capsys.readouterr().err
        assert run(*words, "--token", TOKEN) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["1", "1", "0"]
        assert server.stop() == 0
        assert TOKEN not in "".join(server.logs)
