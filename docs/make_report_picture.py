"""The picture of `report.md`: python docs/make_report_picture.py (needs playwright and chromium).

`report.html` of a female voice in Chromium without a window: on a desktop, and as on a phone, dark, with the uncertainty.
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image

from voxface.cli import main as voxface
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.png import with_mark
from voxface.runtime.files.atomic import write_bytes

DOCS = Path(__file__).parent
VOICE = DOCS.parent / "examples" / "sample_female.flac"
LARGEST = 150_000
GAP = 16


def main() -> None:
    """Writes `report.png`."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if voxface(["run", str(VOICE), "--report-sound", "--out", folder]) != 0:
            raise SystemExit("voxface run failed")
        url = (Path(folder) / "report.html").as_uri()
        desktop = picture(url, (980, 640), "light", uncertainty=False)
        phone = picture(url, (360, 640), "dark", uncertainty=True)
    desktop, phone = (
        each.resize((each.width * 3 // 4, each.height * 3 // 4), Image.Resampling.LANCZOS) for each in (desktop, phone)
    )
    both = Image.new("RGB", (desktop.width + GAP + phone.width, desktop.height), "white")
    colours = Image.new("P", (1, 1))  # half of them from each, so that the heat map keeps its own
    colours.putpalette(
        [value for each in (desktop, phone) for value in (each.quantize(128).getpalette() or [])[: 3 * 128]]
    )
    for image, x in ((desktop, 0), (phone, desktop.width + GAP)):
        both.paste(image, (x, 0))
    both = both.quantize(palette=colours, dither=Image.Dither.NONE)
    stored = io.BytesIO()
    both.save(stored, "PNG", optimize=True)
    if stored.tell() > LARGEST:
        raise SystemExit(f"{stored.tell()} bytes are more than {LARGEST}")
    write_bytes(DOCS / "report.png", with_mark(stored.getvalue(), Bundle.open().mark))
    print(f"wrote {stored.tell()} bytes", file=sys.stderr)


def picture(url: str, size: tuple[int, int], scheme: Literal["light", "dark"], *, uncertainty: bool) -> Image.Image:
    """The page, its mesh turned a little."""
    from playwright.sync_api import sync_playwright

    words = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=words)
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.goto(url)
        while page.evaluate("document.querySelector('.drawn canvas').height") == 150:  # as before it is drawn to
            page.wait_for_timeout(100)
        if uncertainty:
            page.locator(".hot").check()
            page.locator(".stage").scroll_into_view_if_needed()
        page.locator(".right").click()
        page.evaluate("document.activeElement.blur()")
        if not uncertainty:
            page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
        stored = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(stored)).convert("RGB")


if __name__ == "__main__":
    main()
