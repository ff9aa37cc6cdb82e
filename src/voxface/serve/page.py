"""The page and its files, read once: only what lies in its folders when the server starts is served, by its name."""

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxface.runtime import viewer

FOLDER: Final = Path(__file__).parent / "page"
INDEX: Final = "index.html"
KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    data: bytes
    kind: str


def page_files(folder: Path = FOLDER, *, head: str = "") -> dict[str, PageFile]:
    """The files directly in a folder and those of the viewer of meshes, by name; none where the folder is missing.

    Args:
        folder: the folder.
        head: elements that the head of the page gets besides its own.
    """
    if not folder.is_dir():
        return {}
    return {
        path.name: PageFile(
            path.read_bytes().replace(b"</head>", f"{head}</head>".encode(), 1 if path.name == INDEX else 0),
            KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        )
        for each in (viewer.FOLDER, folder)
        for path in sorted(each.iterdir())
        if path.is_file() and not path.name.startswith((".", "_"))
    }
