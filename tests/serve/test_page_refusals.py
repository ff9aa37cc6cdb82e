"""What the page says where there is no face, no microphone, no token or no room."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.browser import Chromium, needs_browser
from tests.stand_ins.page_visits import IDLE, WELCOME, clean, listen, stop
from tests.stand_ins.served import Served, needs_serve, served

pytestmark = [needs_serve, needs_browser, pytest.mark.slow]


TOKEN = "only-for-this-test-0123456789"


def test_a_child_gets_no_face_and_the_reason(chromium: Chromium, server: Served) -> None:
    """Of what the server would answer to a child's voice."""
    error = {
        "file": "child.wav",
        "exit_code": 4,
        "message": "child.wav: a child's voice",
        "code": "no-speech",
        "reason": "child",
    }
    with chromium.visit(server.url) as found:
        found.page.route("**/v1/faces?*", lambda route: route.fulfill(status=422, json={"errors": [error]}))
        found.page.set_input_files("#file", SAMPLES[0])
        found.until("!document.getElementById('problem').hidden")
        assert "it sounds like a child's voice, and the faces are of adults" in found.text("problem")
        assert not found.page.is_visible("#picture")


def test_noise_gets_a_reason_while_it_listens(chromium: Chromium, server: Served, tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, np.random.default_rng(1).normal(0, 0.05, 96_000), 16_000, subtype="PCM_16")
    with chromium.visit(server.url, microphone=noise) as found:
        found.page.click("#record")
        found.told("No face: this is noise, not speech.")
        stop(found)
        assert not found.page.is_visible("#picture")
        assert found.text("status").startswith("No face: ")
        clean(found, server.url)


def test_without_a_microphone_it_says_why(chromium: Chromium, server: Served) -> None:
    with chromium.visit(server.url, permitted=False) as found:
        found.page.click("#record")
        found.until("!document.getElementById('problem').hidden")
        assert "does not let this page use the microphone" in found.text("problem")
        assert found.page.is_enabled("#record")
        found.page.set_input_files("#file", SAMPLES[0])  # files still work
        found.until("!document.getElementById('told').hidden")
        assert not found.page.is_visible("#problem")
        clean(found, server.url)


def test_a_server_with_a_token_and_one_that_ends(chromium: Chromium, voice: Path) -> None:
    with served(environment={"VOXFACE_TOKEN": TOKEN}) as guarded:
        with chromium.visit(guarded.url) as found:
            found.until("!document.getElementById('token-form').hidden")
            found.page.fill("#token", "another-token-0123456789")
            found.page.press("#token", "Enter")
            found.until("document.getElementById('problem').textContent.includes('wrong')")
            found.page.fill("#token", TOKEN)
            found.page.press("#token", "Enter")
            found.until("document.getElementById('token-form').hidden")
            assert found.page.url == guarded.url + "/"
        with chromium.visit(f"{guarded.url}/#token={TOKEN}", microphone=voice) as found:
            listen(found, 1.5)
            clean(found, guarded.url)
            found.page.set_input_files("#file", SAMPLES[1])
            found.until("document.getElementById('sex').textContent.startsWith('male')")
            clean(found, guarded.url)
            assert guarded.stop() == 0
            found.page.set_input_files("#file", SAMPLES[0])
            found.until("!document.getElementById('problem').hidden")
            assert "The server does not answer" in found.text("problem")


def test_reasons_and_refusals_are_told_in_words(chromium: Chromium, server: Served) -> None:
    """Of what a server would tell of a child's voice, and one that has no room."""
    refused = {"event": "refused", "reason": "full", "message": "as many sessions as there may be", "retry_s": 4.2}

    def answer(socket: Any) -> None:
        def heard(message: str | bytes) -> None:
            if isinstance(message, str) and json.loads(message)["type"] == "hello":
                hellos.append(json.loads(message))
                if len(hellos) == 3:
                    socket.close(code=4503, reason="overload")
                    return
                if len(hellos) == 2:
                    socket.send(json.dumps(refused))
                    socket.close(code=4503, reason="full")
                    return
                socket.send(json.dumps(WELCOME))
                socket.send(json.dumps({"event": "no-face", "start": 0, "end": 16_000, "reason": "child", "number": 1}))
            elif isinstance(message, str) and json.loads(message)["type"] == "finish":
                socket.send(json.dumps({"event": "goodbye", "reason": "finished", "faces": 0}))
                socket.close(code=1000, reason="finished")

        socket.on_message(heard)

    hellos: list[dict[str, Any]] = []
    with chromium.visit(server.url) as found:
        found.page.route_web_socket("**/v1/stream", answer)
        found.page.click("#record")
        found.told("No face")
        assert found.text("status") == "No face: it sounds like a child's voice, and the faces are of adults."
        stop(found)
        assert found.text("status").startswith("No face: it sounds like a child's voice")
        assert not found.page.is_visible("#picture")
        assert found.page.is_disabled("#save-json")
        assert found.page.is_enabled("#save-wav")
        found.page.click("#record")
        found.until("!document.getElementById('problem').hidden")
        assert found.text("problem") == (
            "The server has no room now: as many sessions as there may be. Try again in 5 seconds."
        )
        found.until(IDLE)
        found.page.click("#record")
        found.until("document.getElementById('problem').textContent.includes('too much to do')")
        found.until(IDLE)
        assert found.said == []
    assert {"rate", "wants", "version", "format"} <= hellos[0].keys()
    assert "resume" not in hellos[1]
