"""Atomic writes: a file or folder is written beside its place and renamed over it, so that it appears whole or not at all."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from stat import S_IMODE

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.replacement import part_beside, room_beside, take_place


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file in the folder of `path`, then renames it to `path`.

    If `write` raises, no file is left behind and an existing `path` stays as it was. A symbolic link stays a link: its target
    is replaced. A device or a pipe is written to directly, since a file must not replace it.
    """
    if _is_stream(path):
        write(path)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part, handle = part_beside(path)
    try:
        write(part)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # private until now; a result gets the usual permissions
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    write_atomically(path, lambda part: _write(part, data))


def write_folder(folder: Path, contents: Mapping[str, bytes], is_own: Callable[[Path], bool]) -> None:
    """Makes a folder with the files of `contents`, by name; no file of it is seen before all are there.

    Args:
        is_own: whether a folder was written by the caller before. Such a folder is replaced, if no other files are in it.

    Raises:
        UsageError: the folder holds something else, or is a file or the working directory.
        InputError: it cannot be written; what was there is as before.
    """
    place = Path(os.path.realpath(folder))
    try:
        if place.exists():
            _check_replaceable(folder, place, contents, is_own)
        place.parent.mkdir(parents=True, exist_ok=True)
        with room_beside(place) as room:
            new = room / "new"
            new.mkdir()  # unlike the room it is as readable as any other
            for name, data in contents.items():
                (new / name).write_bytes(data)
            if place.exists():
                new.chmod(S_IMODE(place.stat().st_mode))  # a private folder stays private
            take_place(new, place, room)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error


def _check_replaceable(
    folder: Path, place: Path, contents: Mapping[str, bytes], is_own: Callable[[Path], bool]
) -> None:
    if not place.is_dir():
        raise UsageError(f"{folder}: is a file; give a folder")
    if place.samefile(os.curdir):  # another folder would take its name, and the program would stay in the one removed
        raise UsageError(
            f"{folder}: is the working directory, which cannot be replaced; give a folder in it or another one"
        )
    there = sorted(each.name for each in place.iterdir())
    other = [name for name in there if name not in contents]
    if other or (there and not is_own(place)):
        raise UsageError(
            f"{folder}: holds {(other or there)[0]!r}, which was not saved there before; give an empty or another folder"
        )


def check_writable(path: Path) -> None:
    """Raises OSError if `write_atomically` would, so that long work is not done in vain. Makes the folder of `path`."""
    if _is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part, handle = part_beside(path)
    part.unlink()
    if handle is not None:
        os.close(handle)


def check_folder(folder: Path) -> None:
    """Raises OSError if the folder cannot be written into or cannot be made; does not make it."""
    above = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    trial = above / f".{os.urandom(6).hex()}"  # not of `tempfile`, which takes a millisecond to load
    trial.mkdir(mode=0o700)
    trial.rmdir()


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(part: Path, data: bytes) -> None:
    part.write_bytes(data)
