"""The page in a browser whose microphone is a file: what it shows, says, saves and asks for, and who can use it."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.breaking_line import BreakingLine
from tests.stand_ins.browser import (
    CONTRASTS,
    DESKTOP,
    PHONE,
    WITHOUT_WEBGL,
    Chromium,
    Visit,
    differ,
    needs_browser,
    pixels,
    spoken,
)
from tests.stand_ins.served import Served, cosine, needs_serve, served
from voxface.runtime import viewer
from voxface.runtime.provenance.finding import find_marks
from voxface.serve.page import FOLDER

pytestmark = [needs_serve, needs_browser, pytest.mark.slow]
TOKEN = "only-for-this-test-0123456789"
IDLE = "document.getElementById('record').textContent === 'Start listening'"
CONTROLS = (
    "button",
    "checkbox",
    "combobox",
    "textbox",
    "slider",
    "link",
    "application",
    "meter",
    "image",
    "region",
    "table",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(SAMPLES[0], tmp_path_factory.mktemp("voice"))


def listen(found: Visit, speech_s: float) -> None:
    """Listens until so much speech was heard, and to the end of the session."""
    found.page.click("#record")
    found.until(f"parseFloat(document.getElementById('speech').textContent) >= {speech_s}")
    stop(found)


def listen_to_all(found: Visit) -> None:
    """Waits until the file that is the microphone is over: a second of silence, eight of voice."""
    found.until("parseFloat(document.getElementById('heard').textContent) >= 9.5")
    stop(found)


def stop(found: Visit) -> None:
    found.page.click("#record")
    found.until(IDLE)


def seen(found: Visit, name: str) -> NDArray[np.uint8]:
    """The pixels of an element as they are on the screen, two pictures after now."""
    found.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    return pixels(found.page.locator(f"#{name}").screenshot())


def clean(found: Visit, url: str) -> None:
    """Nothing in the console, and nobody but the server was asked."""
    assert found.said == []
    assert found.hosts == {url.removeprefix("http://")}


def glb_positions(data: bytes) -> NDArray[np.float32]:
    """The positions in a GLB file, in millimetres."""
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + size])
    blob_size, blob_kind = struct.unpack_from("<I4s", data, 20 + size)
    assert blob_kind == b"BIN\0"
    assert blob_size == document["buffers"][0]["byteLength"] == length - 28 - size
    blob = data[28 + size :]
    for view in document["bufferViews"]:
        assert view["byteOffset"] + view["byteLength"] <= len(blob)
    primitive = document["meshes"][0]["primitives"][0]
    accessor = document["accessors"][primitive["attributes"]["POSITION"]]
    positions = np.frombuffer(blob, "<f4", 3 * accessor["count"]).reshape(-1, 3)
    np.testing.assert_allclose(positions.min(0), accessor["min"], atol=1e-7)
    normals = document["accessors"][primitive["attributes"]["NORMAL"]]
    start = document["bufferViews"][normals["bufferView"]]["byteOffset"]
    length_of = np.linalg.norm(np.frombuffer(blob, "<f4", 3 * normals["count"], start).reshape(-1, 3), axis=1)
    np.testing.assert_allclose(length_of, 1, atol=1e-4)
    indices = document["accessors"][primitive["indices"]]
    start = document["bufferViews"][indices["bufferView"]]["byteOffset"]
    assert np.frombuffer(blob, "<u4", indices["count"], start).max() == accessor["count"] - 1
    return positions * np.float32(1000)


def of_run(path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The clip that `voxface run` makes of a file."""
    capsys.readouterr()
    assert run("run", path, "--out", folder, "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    found: dict[str, Any] = clip
    return found


def test_a_voice_gets_the_face_of_run_and_it_can_be_saved(
    chromium: Chromium, server: Served, voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chromium.visit(server.url, microphone=voice, reduced_motion="reduce") as found:
        page = found.page
        found.until("document.getElementById('bundle').textContent.includes('voxface-default')")
        before = seen(found, "mesh")
        page.click("#record")
        listen_to_all(found)
        assert page.locator("#picture").evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [128, 128]
        assert "female" in page.get_attribute("#picture", "alt", timeout=1000)  # type: ignore[operator]
        mesh = seen(found, "mesh")
        assert differ(mesh, before) > 0.1  # no longer the mean head of clay
        assert found.text("sex").startswith("female, 9")
        assert "80 %: " in found.text("age")
        assert "mm wide" in found.text("size")
        assert found.text("latency").endswith(" ms")
        assert found.text("status").startswith("Done, from ")
        page.check("#uncertainty")
        assert differ(seen(found, "mesh"), mesh) > 0.1
        assert found.text("scale-end").endswith(" mm")
        saved = {name: found.save(f"save-{name}", tmp_path) for name in ("png", "glb", "json", "wav")}
        clean(found, server.url)
    document = json.loads(saved["json"].read_text())
    face = document["face"]
    assert document["source"] == "microphone"
    clip = of_run(SAMPLES[0], tmp_path / "clip", capsys)
    assert cosine(face["embedding"], clip["embedding"]) >= 0.98
    assert cosine(face["coefficients"], clip["coefficients"]) >= 0.98
    for name, value in clip["measurements_mm"].items():
        assert face["measurements_mm"][name] == pytest.approx(value, abs=1.0), name
    assert pixels(saved["png"].read_bytes()).shape == (128, 128, 3)
    for name in ("png", "glb", "json"):
        mark = find_marks(saved[name]).marks[0]
        assert (mark.synthetic, mark.bundle_sha256) == (True, document["bundle"]["sha256"]), name
    positions = glb_positions(saved["glb"].read_bytes())
    theirs = glb_positions((tmp_path / "clip" / SAMPLES[0].stem / "mesh.glb").read_bytes())
    assert positions.shape == theirs.shape
    assert np.sqrt(((positions - theirs) ** 2).sum(1).mean()) < 1.0
    samples, rate = soundfile.read(saved["wav"])
    assert samples.ndim == 1
    assert rate in (44_100, 48_000)
    assert len(samples) > 7 * rate
    again = of_run(saved["wav"], tmp_path / "again", capsys)
    assert cosine(face["embedding"], again["embedding"]) >= 0.98


def test_without_webgl_it_says_so_and_shows_the_picture(
    chromium: Chromium, server: Served, voice: Path, tmp_path: Path
) -> None:
    with chromium.visit(server.url, microphone=voice, options=WITHOUT_WEBGL) as found:
        assert found.page.evaluate("document.createElement('canvas').getContext('webgl2')") is None
        assert "no WebGL 2" in found.text("no-webgl")
        assert not found.page.is_visible("#mesh")
        listen(found, 2.0)
        assert found.page.locator("#picture").evaluate("(image) => image.naturalWidth") == 128
        assert len(glb_positions(found.save("save-glb", tmp_path).read_bytes())) > 1000
        clean(found, server.url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_can_be_read(
    chromium: Chromium, server: Served, tmp_path: Path, size: tuple[int, int], scheme: Any
) -> None:
    with chromium.visit(server.url, size=size, color_scheme=scheme, reduced_motion="reduce") as found:
        page = found.page
        page.set_input_files("#file", SAMPLES[1])
        found.until("!document.getElementById('told').hidden")
        page.click("summary")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for each in page.locator("button:visible, input:visible, select:visible, summary:visible").all():
            box = each.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]
            name = each.get_attribute("id")
            label = page.locator(f"label:has(#{name})")  # a check box is as large as its label
            held = label.bounding_box() if label.count() else box
            assert held is not None
            assert min(held["width"], held["height"]) >= 32, name
        faint = page.evaluate(CONTRASTS)
        assert len(faint) > 30
        assert [each for each in faint if each[1] < 4.5] == []
        assert found.said == []


def test_everything_has_a_name_and_is_reached_by_keys(chromium: Chromium, server: Served) -> None:
    with chromium.visit(server.url, reduced_motion="reduce") as found:
        page = found.page
        page.set_input_files("#file", SAMPLES[1])
        found.until("!document.getElementById('told').hidden")
        page.check("#uncertainty")
        page.click("summary")
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", "").strip())
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in CONTROLS
        ]
        assert [role for role, name in named if not name] == []
        roles = [role for role, _ in named]
        assert roles.count("button") >= 9
        assert {"checkbox", "application", "meter", "image", "region", "table"} <= set(roles)
        assert page.get_attribute("html", "lang") == "en"
        assert page.title()
        levels = page.locator("h1, h2, h3").evaluate_all("(all) => all.map((each) => Number(each.tagName[1]))")
        assert levels == [1, *[2] * (len(levels) - 1)]
        assert page.get_attribute("#status", "role") == "status"
        assert page.get_attribute("#problem", "role") == "alert"

        wanted = set(
            page.locator("button:visible:enabled, input:visible:enabled, select:visible, #mesh").evaluate_all(
                "(all) => all.map((each) => each.id)"
            )
        )
        reached = set()
        page.evaluate("document.activeElement.blur()")
        for _ in range(len(wanted) + 5):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        assert wanted <= reached

        page.focus("#mesh")
        front = seen(found, "mesh")
        page.keyboard.press("ArrowRight")
        turned = seen(found, "mesh")
        assert differ(turned, front) > 0.02
        page.keyboard.press("+")
        assert differ(seen(found, "mesh"), turned) > 0.02
        page.keyboard.press("Home")
        assert differ(seen(found, "mesh"), front) == 0
        page.click("#turn-left")
        assert differ(seen(found, "mesh"), front) > 0.02
        clean(found, server.url)


def test_it_turns_by_itself_unless_motion_is_unwanted(chromium: Chromium, server: Served) -> None:
    ready = "document.getElementById('bundle').textContent !== ''"
    with chromium.visit(server.url) as found:
        found.until(ready)
        before = seen(found, "mesh")
        found.page.wait_for_timeout(700)
        assert differ(seen(found, "mesh"), before) > 0.01
        found.page.uncheck("#sway")
        still = seen(found, "mesh")
        found.page.wait_for_timeout(500)
        assert differ(seen(found, "mesh"), still) == 0
    with chromium.visit(server.url, reduced_motion="reduce") as found:
        found.until(ready)
        assert not found.page.is_checked("#sway")


def test_a_file_gets_the_face_of_run_by_choice_and_by_drop(
    chromium: Chromium, server: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chromium.visit(server.url) as found:
        page = found.page
        page.set_input_files("#file", SAMPLES[1])
        found.until("!document.getElementById('told').hidden")
        assert found.text("status").startswith(f"{SAMPLES[1].name}, 7.")
        page.check("#uncertainty")
        assert found.page.is_visible("#scale")
        document = json.loads(found.save("save-json", tmp_path).read_text())
        positions = glb_positions(found.save("save-glb", tmp_path).read_bytes())
        assert pixels(found.save("save-png", tmp_path).read_bytes()).shape == (128, 128, 3)
        clip = of_run(SAMPLES[1], tmp_path / "clip", capsys)
        assert cosine(document["face"]["embedding"], clip["embedding"]) >= 0.9999
        theirs = glb_positions((tmp_path / "clip" / SAMPLES[1].stem / "mesh.glb").read_bytes())
        np.testing.assert_allclose(positions, theirs, atol=0.01)

        noise = tmp_path / "noise.wav"
        soundfile.write(noise, np.random.default_rng(1).normal(0, 0.05, 48_000), 16_000)
        drop(found, noise)
        found.until("!document.getElementById('problem').hidden")
        assert found.text("problem").startswith("noise.wav: No face: ")
        assert not page.is_visible("#picture")
        assert page.is_disabled("#save-glb")
        drop(found, SAMPLES[0])
        found.until("!document.getElementById('told').hidden")
        assert found.text("sex").startswith("female")
        page.evaluate("document.title")  # the page is still the page: the browser has not opened the file
        assert found.page.url.startswith(server.url)
        # A browser itself puts a line into the console for an answer of 422.
        assert [each for each in found.said if "422" not in each] == []


def drop(found: Visit, path: Path) -> None:
    """Drops a file onto the page."""
    given = found.page.evaluate_handle(
        """([bytes, name]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(bytes)], name));
          return transfer;
        }""",
        [list(path.read_bytes()), path.name],
    )
    found.page.dispatch_event("body", "drop", {"dataTransfer": given})


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


WELCOME = {"event": "welcome", "version": 1, "session": "one", "resumed": False, "frames": 0, "position": 0}


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


def test_the_page_is_small_and_asks_for_nothing_else() -> None:
    files = sorted([*FOLDER.iterdir(), *viewer.FOLDER.iterdir()])
    assert sum(file.stat().st_size for file in files) < 80_000
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file
        assert "https://" not in text, file
        assert "eval(" not in text, file
        assert "innerHTML" not in text, file
    index = (FOLDER / "index.html").read_text()
    assert "style=" not in index
    assert index.count("<script") == 1
