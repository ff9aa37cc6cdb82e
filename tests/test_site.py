"""The site of docs/: built without a network or a warning; every link leads somewhere; nothing is fetched to read it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from tests.page_code import ROOT
from tests.stand_ins.browser import ALWAYS, CHROMIUM, PHONE, needs_browser
from voxface.cli import VERBS

pytestmark = pytest.mark.slow
# A name that is looked up, or a connection that is begun, is an error.
PROGRAM = """
import runpy, socket, sys

def refuse(*words):
    raise AssertionError(f"the network is asked for {words[1:]}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
sys.argv = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", sys.argv[1]]
runpy.run_module("mkdocs", run_name="__main__")
"""
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
# Of a page: what has to be as often on the site as GitHub shows it.
COUNTED = ("table", "pre", "li", "h2", "h3", "img")


class Read(HTMLParser):
    """What a page links to and loads, its anchors, and how many of each element its article has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.counts = dict.fromkeys(COUNTED, 0)
        self.depth = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and found.get(LOADED[tag]):
            self.loads.append(found[LOADED[tag]])
        if tag == "link" and "stylesheet" in found.get("rel", "") + found.get("as", ""):
            self.loads.append(found["href"])
        self.depth += tag == "article"
        if self.depth and tag in self.counts:
            self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "article"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, home = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("home")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""
    assert list(home.iterdir()) == []
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Read]:
    return {path: Read(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Read]) -> None:
    assert len(pages) > 60
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            if re.match(r"(https?|mailto):", link):
                continue
            target, _, anchor = unquote(link).partition("#")
            there = (path.parent / target.partition("?")[0]).resolve() if target else path
            there = there / "index.html" if there.is_dir() else there
            assert there.is_file(), f"{path.relative_to(site)}: {link}"
            assert there.is_relative_to(site)
            if anchor and there in pages:
                assert anchor in pages[there].anchors, f"{path.relative_to(site)}: {link}"


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Read]) -> None:
    for path, page in pages.items():
        assert not [link for link in page.loads if re.match(r"(https?:)?//", link)], path.relative_to(site)
        # The theme would fetch a library for each of these.
        assert 'class="mermaid"' not in path.read_text()
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text()), style.relative_to(site)


def test_every_verb_and_every_public_name_has_its_place(site: Path, pages: dict[Path, Read]) -> None:
    import voxface

    for verb in VERBS:
        assert site / "reference" / "command-line" / f"{verb}.html" in pages
    anchors = {anchor for page in pages.values() for anchor in page.anchors}
    for name in set(voxface.__all__) - {"__version__"}:
        assert any(anchor.startswith("voxface.") and anchor.endswith(f".{name}") for anchor in anchors), name


def test_a_page_shows_what_github_shows(site: Path, pages: dict[Path, Read]) -> None:
    """Both read Markdown by rules of their own: a list without an empty line before it is one to GitHub alone."""
    markdown = MarkdownIt("commonmark").enable("table")
    compared = 0
    for source in sorted((ROOT / "docs").rglob("*.md")):
        page = pages[site / source.relative_to(ROOT / "docs").with_suffix(".html")]
        said = markdown.render(re.sub(r"^```mermaid.*?^```\n", "", source.read_text(), flags=re.M | re.S))
        for tag in COUNTED:
            assert page.counts[tag] == len(re.findall(rf"<{tag}[ >/]", said)), f"{source.relative_to(ROOT)}: <{tag}>"
        compared += 1
    assert compared > 30


@needs_browser
def test_pages_are_read_as_files(site: Path) -> None:
    """By a browser, without a server: the search finds, and on a phone no page is wider than the screen."""
    from playwright.sync_api import sync_playwright

    width, height = PHONE
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ALWAYS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto((site / "index.html").as_uri())
        page.click("header label[for=__search]")
        page.locator(".md-search__input").press_sequentially("calibrate")  # it listens to keys
        page.wait_for_selector(".md-search-result__item a[href*='command-line/calibrate.html']")
        for name in ("index", "numbers", "performance", "neighbours", "reference/command-line/run"):
            page.goto((site / f"{name}.html").as_uri())
            assert page.evaluate("document.scrollingElement.scrollWidth") == width, name
        browser.close()
