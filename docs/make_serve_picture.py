"""The picture of `serve.md`: python docs/make_serve_picture.py (needs the extra "serve", playwright and chromium).

The page of `voxface serve` in Chromium without a window, whose microphone plays a female voice: on a desktop while it listens,
and as on a phone, dark, with the uncertainty.
"""

import argparse
import io
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import soundfile
from PIL import Image

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.png import with_mark
from voxface.runtime.files.atomic import write_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).parent
VOICE = DOCS.parent / "examples" / "sample_female.flac"
LARGEST = 200_000
GAP = 16


def main() -> None:
    """Writes `serve.png`."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, served() as url:
        voice = spoken(Path(folder))
        desktop = picture(url, voice, (980, 660), "light", uncertainty=False)
        phone = picture(url, voice, (360, 660), "dark", uncertainty=True)
    both = Image.new("RGB", (desktop.width + GAP + phone.width, desktop.height), "white")
    # 160 colours for each: the file is small, and the heat map has no steps.
    for image, x in ((desktop, 0), (phone, desktop.width + GAP)):
        both.paste(image.quantize(160, dither=Image.Dither.NONE).convert("RGB"), (x, 0))
    stored = io.BytesIO()
    both.save(stored, "PNG", optimize=True)
    if stored.tell() > LARGEST:
        raise SystemExit(f"{stored.tell()} bytes are more than {LARGEST}")
    write_bytes(DOCS / "serve.png", with_mark(stored.getvalue(), Bundle.open().mark))
    print(f"wrote {stored.tell()} bytes", file=sys.stderr)


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


def picture(
    url: str, voice: Path, size: tuple[int, int], scheme: Literal["light", "dark"], *, uncertainty: bool
) -> Image.Image:
    """The page after four seconds of speech."""
    from playwright.sync_api import sync_playwright

    words = [
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={voice}%noloop",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=words)
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        page.goto(url)
        page.click("#record")
        until(page, "parseFloat(document.getElementById('speech').textContent) >= 4")
        if uncertainty:
            page.check("#uncertainty")
        page.click("#turn-right")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(200)
        stored = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(stored)).convert("RGB")


def until(page: "Page", script: str) -> None:
    """Waits until an expression in JavaScript is true; Playwright's own waiting needs `eval`, which the page forbids."""
    while not page.evaluate(script):
        page.wait_for_timeout(100)


if __name__ == "__main__":
    main()
