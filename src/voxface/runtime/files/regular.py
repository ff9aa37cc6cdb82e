"""Regular files, opened and read within bounds: no pipe, device or folder, and never more than was agreed.

A symbolic link is followed on purpose: people keep models and recordings elsewhere and link to them. A pipe would be waited for
without end, and a device such as /dev/zero has no end.
"""

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from voxface.runtime.errors import InputError

LARGEST: Final = 2 << 30  # bytes
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def irregular(path: Path) -> str | None:
    """What stands at a path in place of a file, with its article; None for a regular file, or a link to one.

    Raises:
        OSError: nothing is there, or it cannot be looked at.
    """
    return _irregular(os.stat(path).st_mode)


def check_regular(path: Path) -> None:
    """Checks that a file can be opened without waiting and that reading it ends.

    Raises:
        InputError: nothing is there, it cannot be looked at, or it is no regular file.
    """
    try:
        found = irregular(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if found is not None:
        raise InputError(f"{path}: is {found}, no file; {_ADVICE.get(found, 'give a file')}")


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading; the caller closes it.

    Raises:
        InputError: nothing is there, it cannot be opened, or it is no regular file.
    """
    check_regular(path)
    try:
        handle = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    found = _irregular(os.fstat(handle).st_mode)  # of what was opened, should it have been exchanged since
    if found is not None:
        os.close(handle)
        raise InputError(f"{path}: is {found}, no file; {_ADVICE.get(found, 'give a file')}")
    return io.open(handle, "rb")  # noqa: UP020 - the caller closes it


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """The bytes of a regular file.

    Args:
        path: the file, or a link to it.
        most: the most bytes that it may have; more are refused before they are read.

    Raises:
        InputError: as `open_regular`, it has more bytes, or reading fails.
    """
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            data = file.read(most + 1) if size <= most else b""
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error
    if max(size, len(data)) > most:
        raise InputError(
            f"{path}: has {max(size, len(data))} bytes, more than the {most} that are read; is it the right file?"
        )
    return data


_ADVICE: Final = {"a pipe": "save what it gives as a file first"}


def _irregular(mode: int) -> str | None:
    for is_one, name in (
        (stat.S_ISREG, None),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if is_one(mode):
            return name
    return "a device"


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if os.path.islink(path):
            return InputError(f"{path}: is a link to {os.readlink(path)}, which is not there")
        return InputError(f"{path}: no such file")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return InputError(f"{path}: is a link that leads back to itself")
    if isinstance(error, MemoryError):
        return InputError(f"{path}: cannot be read (more memory is needed than there is)")
    return InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})")
