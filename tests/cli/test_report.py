"""The page of `voxface run` in a browser: it needs no file beside it, no server, no network, and everybody can use it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command_line import run
from tests.conftest import SAMPLES
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
)
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.png import png
from voxface.runtime.inference import run_report
from voxface.runtime.provenance.mark import Mark
from voxface.runtime.report_page.clip_row import ClipRow
from voxface.runtime.report_page.packed_mesh import packed_topology
from voxface.runtime.report_page.page import page
from voxface.runtime.report_page.shown_face import show_face


def in_browser(test: Any) -> Any:
    """Marks a test that needs one."""
    return needs_browser(pytest.mark.slow(test))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two voices with their sound, alone in a folder."""
    folder = tmp_path_factory.mktemp("report")
    assert run("run", *SAMPLES, "--report-sound", "--samples", 2, "--out", folder / "out") == 0
    (folder / "alone").mkdir()
    return Path(shutil.copy(folder / "out" / "report.html", folder / "alone"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as running:
        yield running


def seen(found: Visit, what: str) -> NDArray[np.uint8]:
    """The pixels of the first such element, two pictures after now."""
    found.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    return pixels(found.page.locator(what).first.screenshot())[8:-8, 8:-8]  # within the frame of what has the focus


def clean(found: Visit) -> None:
    """Nothing in the console, and nobody asked for anything."""
    assert found.said == []
    assert found.hosts == {""}  # the page itself, a file


def drawn(found: Visit) -> None:
    found.until("document.querySelector('.drawn canvas').height !== 150")  # as a canvas is before it is drawn to


def test_no_sound_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    for name, words in (("without", []), ("with", ["--report-sound"])):
        assert run("run", SAMPLES[0], "--out", tmp_path / name, *words) == 0
        text = (tmp_path / name / "report.html").read_text()
        assert ("<audio" in text) == ("data:audio/" in text) == bool(words)
        files = {path.name for path in (tmp_path / name / "sample_female").iterdir()}
        assert files == {"face.png", "mesh.glb", "mesh.obj", "mesh.ply", "mesh.png"}


def test_a_page_that_is_full_shows_the_rest_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_report, "MOST_BYTES", 1_000_000)  # room for one face
    out = tmp_path / "out"
    assert run("run", *SAMPLES, "--samples", 1, "--out", out) == 0
    text = (out / "report.html").read_text()
    assert text.count("data-mesh=") == 1
    assert "its last 1 clip is shown from the files" in text
    beside = [source for source in re.findall('src="([^"]*)"', text) if not source.startswith("data:")]
    assert len(beside) == 4
    assert all((out / source).is_file() for source in beside)


@in_browser
def test_the_mesh_turns_and_shows_what_is_open(chromium: Chromium, report: Path) -> None:
    with chromium.visit(report.as_uri(), reduced_motion="reduce") as found:
        shown = found.page
        drawn(found)
        assert not shown.locator(".rendered").first.is_visible()
        front = seen(found, ".drawn canvas")
        assert differ(front, np.broadcast_to(front[:1, :1], front.shape)) > 0.1
        shown.locator(".drawn canvas").first.focus()
        shown.keyboard.press("ArrowRight")
        assert differ(seen(found, ".drawn canvas"), front) > 0.02
        shown.keyboard.press("Home")
        assert differ(seen(found, ".drawn canvas"), front) == 0
        shown.locator(".right").first.click()
        assert differ(seen(found, ".drawn canvas"), front) > 0.02
        shown.locator(".front").first.click()
        shown.locator(".hot").first.check()
        assert shown.locator(".scale").first.is_visible()
        assert differ(seen(found, ".drawn canvas"), front) > 0.1
        shown.locator(".draws input").nth(1).check()
        assert shown.locator(".hot").first.is_disabled()
        assert not shown.locator(".scale").first.is_visible()
        assert differ(seen(found, ".drawn canvas"), front) > 0.005
        small = "[...document.querySelectorAll('.draws canvas')].map((each) => each.toDataURL())"
        assert len(set(shown.evaluate(small)[:3])) == 3
        shown.locator(".draws input").first.check()
        shown.locator(".hot").first.uncheck()
        assert differ(seen(found, ".drawn canvas"), front) == 0
        clean(found)


@in_browser
def test_the_voice_is_heard(chromium: Chromium, report: Path) -> None:
    with chromium.visit(report.as_uri()) as found:
        found.until("[...document.querySelectorAll('audio')].every((each) => each.readyState >= 1)")
        lengths = found.page.evaluate("[...document.querySelectorAll('audio')].map((each) => each.duration)")
        assert lengths == pytest.approx([8.0, 8.0], abs=0.05)
        clean(found)


@in_browser
def test_without_webgl_there_are_pictures(chromium: Chromium, report: Path) -> None:
    with chromium.visit(report.as_uri(), options=WITHOUT_WEBGL) as found:
        assert found.page.is_visible("#no-webgl")
        assert found.page.locator(".rendered:visible").count() == 6  # of each mesh, its draws, its heat map
        assert found.page.locator(".drawn:visible, .mesh-tools:visible, .draws:visible").count() == 0
        widths = "[...document.querySelectorAll('.rendered img')].map((each) => each.naturalWidth)"
        assert min(found.page.evaluate(widths)) >= 320
        clean(found)


@in_browser
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_it_fits_and_can_be_read(chromium: Chromium, report: Path, size: tuple[int, int], scheme: Any) -> None:
    with chromium.visit(report.as_uri(), size=size, color_scheme=scheme, reduced_motion="reduce") as found:
        shown = found.page
        drawn(found)
        shown.locator(".hot").first.check()
        shown.locator("summary").first.click()
        assert shown.evaluate("document.documentElement.scrollWidth") <= size[0]
        for each in shown.locator("button:visible, label:visible, summary:visible").all():
            box = each.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= size[0]
            assert min(box["width"], box["height"]) >= 32
        faint = shown.evaluate(CONTRASTS)
        assert len(faint) > 30
        assert [each for each in faint if each[1] < 4.5] == []
        clean(found)


@in_browser
def test_everything_has_a_name_and_is_reached_by_keys(chromium: Chromium, report: Path) -> None:
    with chromium.visit(report.as_uri(), reduced_motion="reduce") as found:
        shown = found.page
        drawn(found)
        nodes = shown.context.new_cdp_session(shown).send("Accessibility.getFullAXTree")["nodes"]
        roles = ("button", "checkbox", "radio", "application", "image", "link", "audio", "group")
        named = [
            (node["role"]["value"].lower(), node.get("name", {}).get("value", "").strip())
            for node in nodes
            if not node["ignored"] and node["role"]["value"].lower() in roles
        ]
        assert [role for role, name in named if not name and role != "group"] == []
        assert {"button", "checkbox", "radio", "application", "image", "link", "audio"} <= {r for r, _ in named}
        assert shown.get_attribute("html", "lang") == "en"
        levels = shown.locator("h1, h2, h3").evaluate_all("(all) => all.map((each) => Number(each.tagName[1]))")
        assert levels == [1, 2, 3, 2, 3, 2]
        shown.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(30):
            shown.keyboard.press("Tab")
            reached.add(shown.evaluate("document.activeElement.className || document.activeElement.type"))
        assert {"view mesh", "left", "front", "right", "sway", "hot", "radio"} <= reached
        clean(found)


@in_browser
def test_more_faces_than_a_browser_draws_at_once(chromium: Chromium, tmp_path: Path, default_bundle: Bundle) -> None:
    """Browsers keep some sixteen views, and warn of each that they drop."""
    model = default_bundle.morphable
    inside = show_face(png(np.zeros((8, 8, 3), np.uint8), Mark()), [], model.mean.reshape(-1, 3))
    rows = [ClipRow(f"{k}", f"{k}", inside, "", {}, {}, "", 1.0, [], {}) for k in range(18)]
    text = page(Mark(), "b", "", rows, packed_topology(model.triangles, model.albedo), [])
    (tmp_path / "many.html").write_text(text)
    with chromium.visit((tmp_path / "many.html").as_uri(), reduced_motion="reduce") as found:
        for at in range(len(rows)):
            found.page.locator(".drawn canvas").nth(at).scroll_into_view_if_needed()
            found.until(f"document.querySelectorAll('.drawn canvas')[{at}].height !== 150")
        found.page.locator(".drawn canvas").first.scroll_into_view_if_needed()
        drawn(found)
        clean(found)
