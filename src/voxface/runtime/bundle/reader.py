"""Reads bundles from a folder or a zip; every file is verified before a byte of it is used.

What a bundle declares is compared with what is stored before memory is taken for it, so a small bundle cannot take much.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from voxface.runtime.background import Background
from voxface.runtime.bundle.manifest import MANIFEST, SUFFIX, Manifest, check_inside
from voxface.runtime.errors import BundleError
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.regular import irregular
from voxface.runtime.files.zip_archive import ZipArchive

LARGEST_MANIFEST: Final = 1 << 20  # bytes
# A bundle may stand for this many bytes, however little is stored of it, and for so many times what is stored. Weights hardly
# shrink when they are packed, and our own zips are not packed at all.
LEAST: Final = 16 << 20
RATIO: Final = 4
_LARGE: Final = 1 << 20  # bytes of a file that is worth a thread for its hash
_MOST_THREADS: Final = 8
Read = Callable[[str, int], bytes]  # name of a file and the most bytes it may have -> its bytes


def read_bundle(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and all files of a bundle, verified.

    Raises:
        BundleError: missing, not a bundle, another schema, a path outside the bundle, a wrong size or hash, or a manifest
            that is incomplete or wrong; the message begins with the path.
    """
    try:
        place = path if path.exists() else _stand_in(path) or path
        if place.is_dir():
            return _read_folder(place)
        if place.is_file():
            return _read_zip(place)
        if place.exists():
            raise BundleError(f"is {irregular(place)}, no bundle; give a bundle's folder or a {SUFFIX} file")
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from error
    raise BundleError(f"{path}: no such bundle; give a bundle's folder, a {SUFFIX} file, or default")


def _stand_in(path: Path) -> Path | None:
    from voxface.runtime.files.replacement import stand_in

    return stand_in(path)


def _read_folder(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    root = os.path.realpath(path)
    return _verified(lambda name, most: _from_folder(root, name, most))


def _read_zip(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    try:
        with ZipArchive(path.open("rb"), least=LEAST, ratio=RATIO) as archive:
            for name in archive.sizes:
                check_inside(name)
            return _verified(lambda name, most: _from_zip(archive, name, most))
    except DAMAGE as error:
        raise BundleError(f"not a bundle, or a damaged one ({reason(error)}); fetch it again") from error


def _verified(read: Read) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the files that it lists, after checking the size and SHA-256 of each."""
    manifest = Manifest.from_bytes(read(MANIFEST, LARGEST_MANIFEST))
    files: dict[str, bytes] = {}
    digests: dict[str, Background[str]] = {}
    for name, entry in (manifest.files or {}).items():
        data = read(name, entry.size)
        if len(data) != entry.size:
            raise BundleError(f"{name} has {len(data)} bytes, not {entry.size}; fetch the bundle again")
        if len(data) >= _LARGE and len(digests) < _MOST_THREADS:
            digests[name] = _digest_of(data)
        elif hashlib.sha256(data).hexdigest() != entry.sha256:
            raise _changed(name)
        files[name] = data
    for name, digest in digests.items():
        if digest.result() != (manifest.files or {})[name].sha256:
            raise _changed(name)
    manifest.check()
    if manifest.model_card is not None:
        try:
            files[manifest.model_card.file].decode()
        except UnicodeDecodeError as error:
            raise BundleError(f"{manifest.model_card.file}, the model card, is no text in UTF-8") from error
    return manifest, files


def _digest_of(data: bytes) -> Background[str]:
    return Background(lambda: hashlib.sha256(data).hexdigest())


def _changed(name: str) -> BundleError:
    return BundleError(f"{name} does not match its SHA-256; it was damaged or changed, fetch it again")


def _from_folder(root: str, name: str, most: int) -> bytes:
    real = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath((root, real)) != root:
        raise BundleError(f"{name} is a link that leaves the bundle; do not use this bundle")
    try:
        about = os.stat(real)
        if not stat.S_ISREG(about.st_mode):  # before it is opened: a pipe would wait for its writer
            raise BundleError(f"{name} is no file; do not use this bundle")
        _check_size(name, about.st_size, most)
        with open(real, "rb") as file:
            if about.st_size > LEAST and _stored(file.fileno(), about.st_size) * RATIO < about.st_size:
                raise BundleError(f"{name} has {about.st_size} bytes that are hardly stored; do not use this bundle")
            return file.read(most + 1)
    except FileNotFoundError as error:
        raise _missing(name) from error
    except OSError as error:
        raise BundleError(f"{name} cannot be read ({error.strerror})") from error


def _stored(file: int, size: int) -> int:
    """Bytes of a file that are stored: one with holes may have any size."""
    if not hasattr(os, "SEEK_DATA"):
        return size
    stored = at = 0
    try:
        while at < size and stored * RATIO < size:
            begin = os.lseek(file, at, os.SEEK_DATA)
            at = os.lseek(file, begin, os.SEEK_HOLE)
            stored += at - begin
    except OSError as error:
        if error.errno != errno.ENXIO:  # that there is nothing but a hole from here on
            return size  # the file system does not tell
    finally:
        os.lseek(file, 0, os.SEEK_SET)
    return stored


def _from_zip(archive: ZipArchive, name: str, most: int) -> bytes:
    if name not in archive.sizes:
        raise _missing(name)
    _check_size(name, archive.sizes[name], most)
    return archive.read(name)


def _missing(name: str) -> BundleError:
    return BundleError(f"{name} is missing; this is not a voxface bundle, or not all of one")


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:  # before it is read: a small zip may hold a very large file
        raise BundleError(f"{name} has {size} bytes, more than the {most} it may have")
