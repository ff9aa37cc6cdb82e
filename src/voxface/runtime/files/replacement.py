"""Folders and files that are made beside their place and then take it; what a killed writer leaves is found and removed.

A folder that takes the place of another does so in one step where the file system can exchange two names, as Linux's own can.
Where it cannot, the old one is moved aside first; if the process is killed between the two steps, `stand_in` finds the old one.
"""

import ctypes
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from voxface.runtime.files.locks import hold, locked

_OURS: Final = re.compile(r"\.voxface-[0-9a-f]{8}-[0-9a-f]{12}")  # digest of the target's name, random letters
_NAME: Final = "name"  # file in a room with the name of what was moved aside
_OLD: Final = "old"
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2
_AT_FDCWD: Final = -100
_cleaned: set[str] = set()


@contextmanager
def room_beside(place: Path) -> Iterator[Path]:
    """A new folder in the folder of `place`, removed afterwards. It is locked, so that nobody takes it for a leftover.

    Rooms that killed writers left there are removed, once for each folder and process.
    """
    folder = place.parent
    with locked(folder):
        clean_up(folder)
        room = folder / f"{_prefix(place)}{os.urandom(6).hex()}"
        room.mkdir(mode=0o700)
        handle = hold(room)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def part_beside(place: Path) -> tuple[Path, int | None]:
    """A new empty file in the folder of `place`, and the open file that holds its lock; see `room_beside`."""
    folder = place.parent
    with locked(folder):
        clean_up(folder)
        part = folder / f"{_prefix(place)}{os.urandom(6).hex()}"
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return part, hold(part)


def take_place(fresh: Path, place: Path, room: Path) -> None:
    """Renames a folder to `place`; what is there is in `room` afterwards.

    Raises:
        OSError: it cannot be renamed; `place` is as before.
    """
    if not place.exists():
        fresh.rename(place)
        return
    if exchange(fresh, place):
        return
    (room / _NAME).write_text(place.name, "utf-8", "surrogateescape")
    old = room / _OLD
    place.rename(old)
    try:
        fresh.rename(place)
    except BaseException:
        old.rename(place)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    return done == 0


def stand_in(place: Path) -> Path | None:
    """What can be read in place of a folder that is missing because its writer was killed, or is at work: the folder that was
    moved aside. It is put back if its writer is dead and this may be written. None: there is none."""
    place = Path(os.path.realpath(place))
    with suppress(OSError):
        for room in sorted(place.parent.glob(f"{_prefix(place)}*")):
            if _OURS.fullmatch(room.name) and (room / _OLD).is_dir():
                with locked(place.parent):
                    _remove_if_left(room)
                return place if place.exists() else room / _OLD
    return None


def clean_up(folder: Path) -> None:
    """Removes what killed writers left in a folder; the caller has its lock. Done once for each folder and process."""
    real = os.path.realpath(folder)
    if real in _cleaned:
        return
    _cleaned.add(real)
    with suppress(OSError), os.scandir(folder) as entries:
        for room in [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]:
            _remove_if_left(room)


def _remove_if_left(room: Path) -> None:
    """Removes a room whose writer is dead, after putting back what was moved aside into it."""
    handle = hold(room)
    if handle is None:  # its writer lives, or it is another user's
        return
    try:
        with suppress(OSError):
            if (room / _OLD).is_dir():
                place = room.parent / (room / _NAME).read_text("utf-8", "surrogateescape")
                if place.parent != room.parent:
                    return
                if not os.path.lexists(place):
                    (room / _OLD).rename(place)
        with suppress(OSError):
            if room.is_dir():
                shutil.rmtree(room)
            else:
                room.unlink()
    finally:
        os.close(handle)


def _prefix(place: Path) -> str:
    return f".voxface-{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:8]}-"
