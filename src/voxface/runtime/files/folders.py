"""Files in folders. macOS leaves "._NAME" beside NAME on disks of other systems; it holds metadata and is never meant."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn


def is_metadata(path: Path) -> bool:
    """Whether a file is macOS' companion of another one (AppleDouble), which has the same suffix but other contents."""
    return path.name.startswith("._")


def files_in(folder: Path, suffixes: Collection[str], *, below: bool = False) -> list[Path]:
    """The files of a folder with these suffixes (in lower case, with their dot), sorted; links to files are files.

    Pipes, devices and metadata of macOS are passed over, and links to folders are not followed.

    Args:
        folder: the folder.
        suffixes: ".wav" and so on.
        below: whether files of its subfolders count too.

    Raises:
        OSError: the folder, or one below, cannot be read.
    """
    found = _all_below(folder) if below else folder.iterdir()
    return sorted(
        path for path in found if path.suffix.lower() in suffixes and not is_metadata(path) and path.is_file()
    )


def _all_below(folder: Path) -> Iterator[Path]:
    """What lies in a folder and below, but for folders; `Path.rglob` would pass over what it may not read without a word."""

    def refuse(error: OSError) -> NoReturn:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in names)
