"""The page as it looks: it fits, can be read and used with the keyboard, moves only where motion is wanted, and is small."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.browser import CONTRASTS, DESKTOP, PHONE, Chromium, differ, needs_browser
from tests.stand_ins.page_visits import clean, seen
from tests.stand_ins.served import Served, needs_serve
from voxface.runtime import viewer
from voxface.serve.page import FOLDER

pytestmark = [needs_serve, needs_browser, pytest.mark.slow]


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
