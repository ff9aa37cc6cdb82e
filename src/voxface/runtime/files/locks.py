"""Locks between processes, on folders and files. The operating system frees them when their process ends, however it ends."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_held = threading.local()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While inside, no other process and no other thread is inside for the same folder. The same thread may enter again.

    Where the folder cannot be opened, or the file system or the operating system has no such locks, nothing is locked.
    """
    place = os.path.realpath(folder)
    held: dict[str, int] = _held.__dict__.setdefault("counts", {})
    if held.get(place):
        held[place] += 1
        try:
            yield
        finally:
            held[place] -= 1
        return
    handle = hold(Path(place), wait=True)
    held[place] = 1
    try:
        yield
    finally:
        del held[place]
        if handle is not None:
            os.close(handle)


def hold(path: Path, *, wait: bool = False) -> int | None:
    """Locks a file or folder; returns the open file that holds the lock until it is closed, or None if it cannot be had.

    Args:
        wait: whether to wait for whoever has the lock.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle
