"""Debian's Chromium without a window, with a WAV file as its microphone, and what a page of it did."""

import io
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or find_spec("playwright") is None, reason="needs chromium, and playwright from voxface[dev]"
)
DESKTOP, PHONE = (1200, 800), (360, 740)
# The whole machine is two processors that draw: no frame is waited for, and nothing is fetched by the browser itself.
ALWAYS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)
WITHOUT_WEBGL = ("--disable-gpu", "--disable-3d-apis")
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# All that the page's line of status has said.
KEEP = """() => {
  const status = document.getElementById("status");
  window.told = [];
  if (!status) return;
  new MutationObserver(() => window.told.push(status.textContent)).observe(status, {childList: true, characterData: true});
}"""


# Every visible text with its contrast to the ground below it (WCAG 2.2, 1.4.3); what is disabled is left out.
CONTRASTS = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(":disabled, .hidden, script")) continue;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort();
    const pair = [Math.min(one, other), Math.max(one, other)];
    found.push([node.data.trim().slice(0, 40), (pair[1] + 0.05) / (pair[0] + 0.05)]);
  }
  return found;
}"""


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The share of pixels that differ visibly."""
    return float((np.abs(one.astype(int) - other.astype(int)).max(2) > 8).mean())


class Visit:
    """A page, and everything that it said and asked for.

    Attributes:
        page: the page.
        said: warnings and errors of the console, exceptions, and requests that failed.
        hosts: host and port of every request.
    """

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.said: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda each: self.said.append(each.text) if each.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("blob", "data"):
            self.hosts.add(urlsplit(url).netloc)

    def text(self, name: str) -> str:
        """What is shown in the element with this id."""
        return self.page.locator(f"#{name}").inner_text()

    def until(self, script: str, timeout_s: float = 40.0) -> None:
        """Waits until an expression in JavaScript is true. Playwright's own waiting needs `eval`, which the page forbids."""
        end = time.monotonic() + timeout_s
        while not self.page.evaluate(script):
            assert time.monotonic() < end, f"not within {timeout_s:g} s: {script}; {self.shown()}; {self.said}"
            self.page.wait_for_timeout(50)

    def shown(self) -> str:
        """What the page says of how it goes."""
        return f"status: {self.text('status')!r}, problem: {self.text('problem')!r}"

    def told(self, words: str) -> None:
        """Waits until the page has said something that begins with these words, even if it has said more since."""
        self.until(f"window.told.some((each) => each.startsWith({json.dumps(words)}))")

    def save(self, name: str, folder: Path) -> Path:
        """Presses a button that saves a file, and returns it."""
        with self.page.expect_download() as found:
            self.page.click(f"#{name}")
        path = folder / found.value.suggested_filename
        found.value.save_as(path)
        return path


class Chromium:
    """Chromium for the tests of one module, on whose thread no asyncio program can run meanwhile; a context manager.

    A browser is started for each microphone and each set of options. Visits of the ordinary one share it, each without what
    others have left there.
    """

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        self._ending = ExitStack()
        self._playwright = self._ending.enter_context(sync_playwright())
        self._ordinary: Browser | None = None

    @contextmanager
    def visit(
        self,
        url: str,
        *,
        microphone: Path | None = None,
        size: tuple[int, int] = DESKTOP,
        options: Sequence[str] = WEBGL,
        permitted: bool = True,
        **context: Any,
    ) -> Iterator[Visit]:
        """A page at a URL; the microphone plays a WAV file once. `context`: of Playwright's `new_context`."""
        with self._browser(microphone, options, permitted) as browser:
            width, height = size
            made = browser.new_context(viewport={"width": width, "height": height}, **context)
            try:
                page = made.new_page()
                found = Visit(page)
                page.goto(url)
                page.evaluate(KEEP)
                yield found
            finally:
                made.close()

    @contextmanager
    def _browser(self, microphone: Path | None, options: Sequence[str], permitted: bool) -> Iterator["Browser"]:
        if microphone is None and options == WEBGL and permitted:
            if self._ordinary is None:
                self._ordinary = self._started(None, WEBGL, True)
                self._ending.callback(self._ordinary.close)
            yield self._ordinary
            return
        browser = self._started(microphone, options, permitted)
        try:
            yield browser
        finally:
            browser.close()

    def _started(self, microphone: Path | None, options: Sequence[str], permitted: bool) -> "Browser":
        words = [*ALWAYS, *options, "--use-fake-device-for-media-stream"]
        if permitted:
            words.append("--use-fake-ui-for-media-stream")
        if microphone is not None:
            words.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        return self._playwright.chromium.launch(executable_path=CHROMIUM, args=words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.close()


def spoken(path: Path, folder: Path, silence_s: float = 1.0) -> Path:
    """A WAV file of a recording with silence before and after it: a browser that draws may lose the first moments."""
    samples, rate = soundfile.read(path, dtype="int16")
    silence = np.zeros(round(silence_s * rate), np.int16)
    target = folder / f"{path.stem}.wav"
    soundfile.write(target, np.concatenate([silence, samples, silence]), rate, subtype="PCM_16")
    return target
