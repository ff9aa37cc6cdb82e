"""The load generator: every stream let in is served, the excess is refused, and lateness counts from the intended times."""

import json
import time
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.served import needs_serve, served
from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.serve.load_report import plot, table

pytestmark = needs_serve


@pytest.mark.slow
def test_the_excess_is_refused_and_nobody_starves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served("--limit", "sessions=3", "--limit", "load=1000", "--limit", "late-s=100") as server:
        words = ["load", server.url, "--streams", "2,5", "--audio", SAMPLES[0].parent, "--seconds", "3", "--json"]
        assert run(*words, "--plot", tmp_path / "load.svg") == 0
        assert server.stop() == 0
    document = json.loads(capsys.readouterr().out)
    two, five = document["rows"]
    assert (two["streams"], two["accepted"], two["refused"]) == (2, 2, 0)
    assert (five["streams"], five["accepted"], five["refused"]) == (5, 3, 2)
    assert five["refused_by_reason"] == {"full": 2}
    for row in (two, five):
        assert row["broken"] == {}
        assert row["faces_of_a_stream"]["least"] >= 1
        assert 0 < row["late_ms"]["p50"] <= row["late_ms"]["p99"] <= row["late_ms"]["max"]
        assert row["updates"] >= 2 * row["accepted"]
    text = (tmp_path / "load.svg").read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")


def test_lateness_counts_from_the_intended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that holds every answer back by half a second is that late, however fast it computes."""
    import asyncio

    from websockets.asyncio.server import ServerConnection, serve

    from voxface.serve import load_generator
    from voxface.serve.load_generator import Load

    async def slow(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"event":"welcome"}')
        heard = 0
        async for message in socket:
            if isinstance(message, str):
                break
            heard += len(message) // 2
            if heard % 8000 == 0:
                await asyncio.sleep(0.5)
                event = {"event": "face", "position": heard, "latency_ms": {"total": 1.0}}
                await socket.send(json.dumps(event))

    async def both() -> Any:
        async with serve(slow, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            load = Load(f"ws://127.0.0.1:{port}/", 1, 2.0)
            blocks = np.zeros(32_000, np.int16)
            return await load_generator._all(load, blocks, None, lambda seconds: None)

    outcome = asyncio.run(both())
    assert outcome.late.count == 4
    # Each answer holds up what comes after it: 0.5, 1.0 - 0.5 + 0.5, …: never less than half a second.
    assert outcome.late.percentile_ns(0.01) >= 0.5e9
    assert outcome.late.largest_ns < 3e9


def test_it_ends_by_itself_whatever_the_server_does() -> None:
    """A server that welcomes and then says nothing."""
    import asyncio

    from websockets.asyncio.server import ServerConnection, serve

    from voxface.serve import load_generator
    from voxface.serve.load_generator import Load

    async def mute(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"event":"welcome"}')
        await socket.wait_closed()

    async def both() -> Any:
        async with serve(mute, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            return await load_generator._all(
                Load(f"ws://127.0.0.1:{port}/", 2, 1.0), np.zeros(32_000, np.int16), None, lambda seconds: None
            )

    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_generator, "END_S", 1.0)
        outcome = asyncio.run(both())
    assert time.monotonic() - began < 10
    assert outcome.faces == [0, 0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["http://127.0.0.1:1"], ProviderError.exit_code, "no voxface server answers there"),
        (["ftp://x"], UsageError.exit_code, "give the server's URL"),
        (["http://127.0.0.1:99999"], UsageError.exit_code, "give the server's URL"),
        (["http://127.0.0.1:1", "--streams", "0"], UsageError.exit_code, "--streams 0"),
        (["http://127.0.0.1:1", "--streams", "a"], UsageError.exit_code, "--streams a"),
        (["http://127.0.0.1:1", "--seconds", "0"], UsageError.exit_code, "--seconds 0"),
        (["http://127.0.0.1:1", "--updates", "99"], UsageError.exit_code, "--updates 99"),
        (["http://127.0.0.1:1", "--wants", "picture,wings"], UsageError.exit_code, "--wants wings: one or more of"),
        (["https://127.0.0.1:1", "--ca", "nope.pem"], InputError.exit_code, "--ca nope.pem"),
    ],
)
def test_what_cannot_be(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("load", *words, *([] if "--seconds" in words else ["--seconds", "1"]), "--audio", SAMPLES[0]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("said", ["hello", "[1]", '{"a": 1}', '{"event": 5}', b"\0\1", None])
def test_another_program_answers(said: str | bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A WebSocket that speaks otherwise, and a server of HTTP alone (None)."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from websockets.sync.server import ServerConnection, serve

    def speak(socket: ServerConnection) -> None:
        socket.recv()
        socket.send(said or "")

    other = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) if said is None else serve(speak, "127.0.0.1", 0)
    with other as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        words = ["load", f"http://127.0.0.1:{port}", "--streams", "1", "--seconds", "1", "--audio", SAMPLES[0]]
        try:
            assert run(*words) == ProviderError.exit_code
        finally:
            server.shutdown()
            thread.join()
    assert "no voxface server answers there" in capsys.readouterr().err


def test_a_picture_that_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "a.svg"
    there.write_text("mine")
    assert run("load", "http://127.0.0.1:1", "--audio", SAMPLES[0], "--plot", there) == UsageError.exit_code
    assert there.read_text() == "mine"


def test_a_table_and_a_plot_of_rows() -> None:
    rows = [
        {"streams": n, "accepted": n - n // 3, "refused": n // 3, "updates": 10 * n, "events": {"skipped": n},
         "late_ms": {"p50": 10.0 + n, "p90": 15.0, "p99": 20.0 + n, "p99.9": 30.0, "max": 31.0}, "broken": {"late": 1}}
        for n in (2, 8, 32)
    ]  # fmt: skip
    lines = table(rows).splitlines()
    assert lines[0].split()[:3] == ["streams", "accepted", "refused"]
    assert lines[3].split() == ["32", "22", "10", "320", "42.0", "52.0", "31.0", "32", "1"]
    root = ElementTree.fromstring(plot(rows, "a < b & c"))
    circles = [each for each in root.iter() if each.tag.endswith("circle")]
    assert len(circles) == 6
    lowest, highest = (float(circles[place].attrib["cy"]) for place in (3, 5))
    assert highest < lowest, "later is higher up"
