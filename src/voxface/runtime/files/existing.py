"""Results that are there already: one rule for all verbs.

An existing result is refused before the work begins. With `--force` it is replaced if it is a result of the same kind, and
refused all the same if it is anything else. What is read is never replaced.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import Any, Final

from voxface.runtime.errors import UsageError
from voxface.runtime.files.replacement import room_beside, take_place

BEGINNING: Final = 4096
"""Bytes of a file that tell of which kind it is."""


def check_existing(
    path: Path, option: str, what: str, is_own: Callable[[Path], bool], *sources: Path | None, force: bool = False
) -> None:
    """Checks that a result may be written to `path`. An empty file or folder counts as none; so does a device or a pipe.

    Args:
        option: what the path was given with, such as "--out".
        what: the kind of result, such as "profile".
        is_own: whether the file or folder at a path is a result of this kind, and nothing else.
        sources: files and folders that are read, None for one that was not given.
        force: whether a result of this kind is to be replaced.

    Raises:
        UsageError: something would be lost.
    """
    for source in sources:
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{option} {path}: is {source}, which is read; choose another name")
    if not path.exists() or is_empty(path):
        return
    if path.is_dir() and path.samefile(os.curdir):
        raise UsageError(f"{option} {path}: is the working directory, which is not replaced; choose another name")
    if not is_own(path):
        kept = ", so --force does not replace it" if force else ""
        raise UsageError(f"{option} {path}: is there already and is no {what}{kept}; choose another name")
    if not force:
        raise refusal(path, option)


def refusal(path: Path, option: str) -> UsageError:
    """The error about a result that is there already, of the kind that is to be written."""
    return UsageError(f"{option} {path}: is there already; choose another name, or replace it with --force")


def is_empty(path: Path) -> bool:
    """Whether nothing is lost with the file or folder at `path`; devices and pipes are written to, not replaced."""
    if path.is_dir():
        return next(path.iterdir(), None) is None
    return not path.is_file() or path.stat().st_size == 0


def begins_with(path: Path, *texts: bytes) -> bool:
    """Whether a file has each of `texts` near its beginning, in this order."""
    try:
        with path.open("rb") as file:
            rest = file.read(BEGINNING)
    except OSError:
        return False
    for text in texts:
        _, found, rest = rest.partition(text)
        if not found:
            return False
    return True


def holds_arrays(path: Path, *names: str) -> bool:
    """Whether a file is an `.npz` with at least these arrays; none of them is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {f"{name}.npy" for name in names} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def holds_only(folder: Path, manifest: str, lists: Callable[[dict[str, Any]], set[str]]) -> bool:
    """Whether a folder holds a JSON file `manifest` and besides only files that it lists.

    Args:
        lists: the names of the files, from the document in `manifest`; an exception means that it is no such document.
    """
    try:
        document = json.loads((folder / manifest).read_bytes())
        own = {manifest, *lists(document)}
        return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()} <= own
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


@contextmanager
def fresh_folder(place: Path) -> Iterator[Path]:
    """A folder to write a result into; it takes the place of the one at `place` when the block ends without an exception.

    Until then nothing is seen at `place`, so that what fails or is killed leaves nothing there. An empty working directory or
    mount point cannot be replaced, and gets what is in the folder.

    Raises:
        OSError: it cannot be written, or cannot be put into its place; what was there is as before.
    """
    place = Path(os.path.realpath(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    kept = place.exists() and is_empty(place) and (place.samefile(os.curdir) or place.is_mount())
    with room_beside(place / "new" if kept else place) as room:
        fresh = room / "new"
        yield fresh
        if kept:
            for each in sorted(fresh.iterdir()):
                each.rename(place / each.name)
            return
        if place.exists():
            fresh.chmod(S_IMODE(place.stat().st_mode))  # a private folder stays private
        take_place(fresh, place, room)
