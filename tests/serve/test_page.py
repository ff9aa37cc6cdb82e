"""The page in a browser whose microphone is a file: the face of `voxface run`, of sound from a microphone or a file."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.browser import WITHOUT_WEBGL, Chromium, differ, needs_browser, pixels
from tests.stand_ins.page_visits import clean, drop, glb_positions, listen, listen_to_all, of_run, seen
from tests.stand_ins.served import Served, cosine, needs_serve
from voxface.runtime.provenance.finding import find_marks

pytestmark = [needs_serve, needs_browser, pytest.mark.slow]


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
