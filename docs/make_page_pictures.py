"""The pictures of `report.md` and `serve.md`: python docs/make_page_pictures.py [--only NAME] (needs playwright and
chromium, and for `serve` the extra "serve").

Pages in Chromium without a window: on a desktop, and as on a phone, dark, with the uncertainty. One is `report.html` of a
female voice; the other is the page of `voxface serve`, whose microphone plays the voice, while it listens.
"""

import argparse
import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import soundfile
from PIL import Image

from voxface.cli import main as voxface
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.png import with_mark
from voxface.runtime.files.atomic import write_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS: Final = Path(__file__).parent
VOICE: Final = DOCS.parent / "examples" / "sample_female.flac"
LARGEST: Final = {"report": 150_000, "serve": 200_000}  # bytes
GAP: Final = 16
SOFTWARE_WEBGL: Final = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> None:
    """Writes `report.png` and `serve.png`, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*LARGEST], help="one of them (both)")
    only = parser.parse_args().only
    for name in [only] if only else LARGEST:
        both = {"report": report, "serve": served_page}[name]()
        stored = io.BytesIO()
        both.save(stored, "PNG", optimize=True)
        if stored.tell() > LARGEST[name]:
            raise SystemExit(f"{name}: {stored.tell()} bytes are more than {LARGEST[name]}")
        write_bytes(DOCS / f"{name}.png", with_mark(stored.getvalue(), Bundle.open().mark))
        print(f"wrote {stored.tell()} bytes", file=sys.stderr)


def report() -> Image.Image:
    """`report.html` on a desktop and a phone, of three quarters its size, in 256 colours."""
    with tempfile.TemporaryDirectory() as folder:
        if voxface(["run", str(VOICE), "--report-sound", "--out", folder]) != 0:
            raise SystemExit("voxface run failed")
        url = (Path(folder) / "report.html").as_uri()
        shots = [
            page_picture(url, (980, 640), "light", lambda page: turned_report(page, uncertainty=False)),
            page_picture(url, (360, 640), "dark", lambda page: turned_report(page, uncertainty=True)),
        ]
    shots = [each.resize((each.width * 3 // 4, each.height * 3 // 4), Image.Resampling.LANCZOS) for each in shots]
    colours = Image.new("P", (1, 1))  # half of them from each, so that the heat map keeps its own
    colours.putpalette([value for each in shots for value in (each.quantize(128).getpalette() or [])[: 3 * 128]])
    return side_by_side(shots).quantize(palette=colours, dither=Image.Dither.NONE)


def turned_report(page: "Page", *, uncertainty: bool) -> None:
    """Turns the mesh of the report a little, once it is drawn."""
    until(page, "document.querySelector('.drawn canvas').height !== 150")  # as before it is drawn to
    if uncertainty:
        page.locator(".hot").check()
        page.locator(".stage").scroll_into_view_if_needed()
    page.locator(".right").click()
    page.evaluate("document.activeElement.blur()")
    if not uncertainty:
        page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)


def served_page() -> Image.Image:
    """The page of the server on a desktop and a phone."""
    with tempfile.TemporaryDirectory() as folder, served() as url:
        heard = (
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={spoken(Path(folder))}%noloop",
        )
        shots = [
            page_picture(url, (980, 660), "light", lambda page: listening(page, uncertainty=False), heard),
            page_picture(url, (360, 660), "dark", lambda page: listening(page, uncertainty=True), heard),
        ]
    # 160 colours for each: the file is small, and the heat map has no steps.
    return side_by_side([each.quantize(160, dither=Image.Dither.NONE).convert("RGB") for each in shots])


@contextmanager
def served() -> Iterator[str]:
    """The URL of a server while the context lasts."""
    command = [sys.executable, "-m", "voxface", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            text += process.stdout.readline()
        yield str(json.loads(text)["url"])
        process.send_signal(signal.SIGTERM)


def spoken(folder: Path) -> Path:
    """The voice as a WAV file, after a second in which the browser gets going."""
    samples, rate = soundfile.read(VOICE, dtype="int16")
    soundfile.write(folder / "voice.wav", np.concatenate([np.zeros(rate, np.int16), samples]), rate)
    return folder / "voice.wav"


def listening(page: "Page", *, uncertainty: bool) -> None:
    """Lets the server's page hear four seconds of speech."""
    page.click("#record")
    until(page, "parseFloat(document.getElementById('speech').textContent) >= 4")
    if uncertainty:
        page.check("#uncertainty")
    page.click("#turn-right")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(200)


def page_picture(
    url: str,
    size: tuple[int, int],
    scheme: Literal["light", "dark"],
    visit: "Callable[[Page], None]",
    options: Sequence[str] = (),
) -> Image.Image:
    """A page in a browser after a visit.

    Args:
        size: of its window, px.
        visit: what is done on the page.
        options: of the browser.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*SOFTWARE_WEBGL, *options])
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.goto(url)
        visit(page)
        stored = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(stored)).convert("RGB")


def until(page: "Page", script: str) -> None:
    """Waits until an expression in JavaScript is true; Playwright's own waiting needs `eval`, which the pages forbid."""
    while not page.evaluate(script):
        page.wait_for_timeout(100)


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures on white, as high as the first one."""
    width = sum(each.width for each in pictures) + GAP * (len(pictures) - 1)
    whole, x = Image.new("RGB", (width, pictures[0].height), "white"), 0
    for each in pictures:
        whole.paste(each, (x, 0))
        x += each.width + GAP
    return whole


if __name__ == "__main__":
    main()
