"""Files in folders. macOS leaves "._NAME" beside NAME on disks of other systems; it holds metadata and is never meant."""

from collections.abc import Collection
from pathlib import Path


def is_metadata(path: Path) -> bool:
    """Whether a file is macOS' companion of another one (AppleDouble), which has the same suffix but other contents."""
    return path.name.startswith("._")


def files_in(folder: Path, suffixes: Collection[str], *, below: bool = False) -> list[Path]:
    """The files of a folder with these suffixes (in lower case, with their dot), sorted; links to files are files.

    Pipes, devices and metadata of macOS are passed over.

    Args:
        folder: the folder.
        suffixes: ".wav" and so on.
        below: whether files of its subfolders count too.

    Raises:
        OSError: the folder cannot be read.
    """
    found = folder.rglob("*") if below else folder.iterdir()
    return sorted(
        path for path in found if path.suffix.lower() in suffixes and not is_metadata(path) and path.is_file()
    )
