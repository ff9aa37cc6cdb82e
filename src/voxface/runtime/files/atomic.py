"""Atomic writes: a file is written beside its place and renamed over it, so that it appears whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file in the folder of `path`, then renames it to `path`.

    If `write` raises, no file is left behind and an existing `path` stays as it was. A symbolic link stays a link: its target
    is replaced. A device or a pipe is written to directly, since a file must not replace it.
    """
    if _is_stream(path):
        write(path)
        return
    path = Path(os.path.realpath(path))
    part = _part(path)
    try:
        write(part)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # mkstemp makes private files; a result gets the usual permissions
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    write_atomically(path, lambda part: _write(part, data))


def check_writable(path: Path) -> None:
    """Raises OSError if `write_atomically` would, so that long work is not done in vain. Makes the folder of `path`."""
    if _is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        return
    _part(Path(os.path.realpath(path))).unlink()


def check_folder(folder: Path) -> None:
    """Raises OSError if the folder cannot be written into or cannot be made; does not make it."""
    above = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    with tempfile.TemporaryDirectory(prefix=".", dir=above):
        pass


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _part(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    return Path(name)


def _write(part: Path, data: bytes) -> None:
    part.write_bytes(data)
