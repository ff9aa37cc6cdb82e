"""The page on a line that breaks, is dead, or leads to a server that has lost or forgotten it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.breaking_line import BreakingLine
from tests.stand_ins.browser import Chromium, needs_browser
from tests.stand_ins.page_visits import WELCOME, clean, listen_to_all, of_run, stop
from tests.stand_ins.served import Served, cosine, needs_serve, served

pytestmark = [needs_serve, needs_browser, pytest.mark.slow]


def test_a_broken_line_loses_nothing(
    chromium: Chromium, server: Served, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with BreakingLine(server.url) as line, chromium.visit(line.url, microphone=voice, reduced_motion="reduce") as found:
        found.page.click("#record")
        found.until("parseFloat(document.getElementById('speech').textContent) >= 2")
        line.cut()
        found.until("document.getElementById('problem').textContent.includes('connection is lost')")
        found.page.wait_for_timeout(1500)
        line.mend()
        found.told("Connected again; the session goes on.")
        assert not found.page.is_visible("#problem")
        listen_to_all(found)
        document = json.loads(found.save("save-json", tmp_path).read_text())
    clip = of_run(SAMPLES[0], tmp_path / "clip", capsys)
    assert cosine(document["face"]["embedding"], clip["embedding"]) >= 0.98
    assert document["face"]["voiced_s"] == pytest.approx(clip["voiced_s"], abs=0.7)
    assert "session resumed" in [event["event"] for event in server.events()]


def test_a_line_that_is_dead_without_a_word_is_given_up(chromium: Chromium, server: Served, voice: Path) -> None:
    with BreakingLine(server.url) as line, chromium.visit(line.url, microphone=voice) as found:
        found.page.click("#record")
        found.until("parseFloat(document.getElementById('speech').textContent) >= 1.5")
        line.freeze()
        found.told("Connected again; the session goes on.")
        stop(found)
        assert found.text("status").startswith("Done, from ")
        clean(found, line.url)


def test_a_page_that_comes_back_to_a_full_server_tries_again(chromium: Chromium, server: Served) -> None:
    """Others came while its line was broken; its session waits."""
    refused = {"event": "refused", "reason": "load", "message": "one more would slow down the others", "retry_s": 10}
    hellos: list[dict[str, Any]] = []

    def answer(socket: Any) -> None:
        def heard(message: str | bytes) -> None:
            kind = json.loads(message)["type"] if isinstance(message, str) else "sound"
            if kind == "hello":
                hellos.append(json.loads(str(message)))
                if len(hellos) in (2, 3):
                    socket.send(json.dumps(refused))
                    socket.close(code=4503, reason="load")
                    return
                socket.send(json.dumps({**WELCOME, "resumed": len(hellos) > 1}))
            elif kind == "sound" and len(hellos) == 1:
                socket.close(code=4000, reason="a line that breaks")
            elif kind == "finish":
                socket.send(json.dumps({"event": "goodbye", "reason": "finished", "faces": 0}))
                socket.close(code=1000, reason="finished")

        socket.on_message(heard)

    with chromium.visit(server.url) as found:
        found.page.route_web_socket("**/v1/stream", answer)
        found.page.click("#record")
        found.told("Connected again; the session goes on.")
        stop(found)
    assert [hello.get("resume", {}).get("session") for hello in hellos] == [None, "one", "one", "one"]


def test_a_server_that_comes_back_without_its_sessions(chromium: Chromium, voice: Path) -> None:
    with served() as first, served() as second, BreakingLine(first.url) as line:
        with chromium.visit(line.url, microphone=voice) as found:
            found.page.click("#record")
            found.until("parseFloat(document.getElementById('speech').textContent) >= 1.5")
            line.cut()
            first.process.kill()
            line.redirect(second.url)
            found.until("!document.getElementById('problem').hidden")
            line.mend()
            found.told("Connected again; the server began a new session.")
            # The newest sound goes to the new session, so the face is of all that was said.
            found.until("parseFloat(document.getElementById('speech').textContent) >= 6")
            stop(found)
            assert found.text("status").startswith("Done, from ")
        assert second.stop() == 0
