"""Files appear whole or not at all: written beside their place, then renamed over it."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file in the folder of `path`, then renames it to `path`.

    Whatever `write` raises leaves no file behind and an existing `path` as it was. A link stays one; a device or a pipe, which
    a file must not take the place of, is written to as it is.
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
        part.chmod(0o666 & ~umask)  # mkstemp makes files private; a result is as readable as any other file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    write_atomically(path, lambda part: _write(part, data))


def check_writable(path: Path) -> None:
    """Raises OSError where `write_atomically` would: before long work, not after it. Makes the folder, as that does."""
    if _is_stream(path):
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        return
    _part(Path(os.path.realpath(path))).unlink()


def check_folder(folder: Path) -> None:
    """Raises OSError where the folder cannot be written into, or not made; leaves it unmade."""
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
