"""Reads bundles from a folder or a zip; every file is verified before a byte of it is used."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from voxface.runtime.bundle.manifest import MANIFEST, SUFFIX, Manifest, check_inside
from voxface.runtime.errors import BundleError

LARGEST_MANIFEST: Final = 4 << 20  # bytes
# NotImplementedError is how zipfile refuses a compression or encryption it does not know.
_ZIP_ERRORS: Final = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
Read = Callable[[str, int], bytes]  # name of a file and the most bytes it may have -> its bytes


def read_bundle(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and all files of a bundle, verified.

    Raises:
        BundleError: missing, not a bundle, another schema, a path outside the bundle, a wrong size or hash, or a manifest
            that is incomplete or wrong; the message begins with the path.
    """
    if not path.is_dir() and not path.is_file():
        raise BundleError(f"{path}: no such bundle; give a bundle's folder or a {SUFFIX} file")
    try:
        return _read_folder(path) if path.is_dir() else _read_zip(path)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def _read_folder(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    return _verified(lambda name, most: _from_folder(path, name, most))


def _read_zip(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as z:
            for name in z.namelist():
                check_inside(name)
            return _verified(lambda name, most: _from_zip(z, name, most))
    except (*_ZIP_ERRORS, OSError, ValueError) as error:
        raise BundleError(f"not a bundle, or a damaged one ({error}); fetch it again") from error


def _verified(read: Read) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the files that it lists, after checking the size and SHA-256 of each."""
    manifest = Manifest.from_bytes(read(MANIFEST, LARGEST_MANIFEST))
    files: dict[str, bytes] = {}
    for name, entry in (manifest.files or {}).items():
        data = read(name, entry.size)
        if len(data) != entry.size:
            raise BundleError(f"{name} has {len(data)} bytes, not {entry.size}; fetch the bundle again")
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise BundleError(f"{name} does not match its SHA-256; it was damaged or changed, fetch it again")
        files[name] = data
    manifest.check()
    return manifest, files


def _from_folder(path: Path, name: str, most: int) -> bytes:
    file = path / name
    if not file.resolve().is_relative_to(path.resolve()):
        raise BundleError(f"{name} is a link that leaves the bundle; do not use this bundle")
    try:
        if file.exists() and not file.is_file():
            raise BundleError(f"{name} is no file; do not use this bundle")
        size = file.stat().st_size
        if size > most:
            raise BundleError(f"{name} has {size} bytes, more than the {most} it may have")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{name} is missing; this is not a voxface bundle, or not all of one") from error
    except OSError as error:
        raise BundleError(f"{name} cannot be read ({error.strerror})") from error


def _from_zip(z: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        info = z.getinfo(name)
    except KeyError as error:
        raise BundleError(f"{name} is missing; this is not a voxface bundle, or not all of one") from error
    if info.file_size > most:  # before unpacking: a small zip may hold a very large file
        raise BundleError(f"{name} has {info.file_size} bytes, more than the {most} it may have")
    return z.read(info)
