"""Writes bundles, whole or not at all; nothing is replaced except a bundle."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from voxface.runtime.bundle.manifest import MANIFEST, SUFFIX, Manifest
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.atomic import check_writable, write_atomically
from voxface.runtime.files.existing import refusal
from voxface.runtime.files.replacement import room_beside, take_place


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Writes a bundle: one zip where the name ends in `.voxface`, else a folder.

    Args:
        manifest: need not be sealed; its table of files and its digest are computed here.
        files: name -> bytes of every file but the manifest.

    Raises:
        UsageError: see `check_target`.
    """
    (write_zip if path.suffix == SUFFIX else write_folder)(path, manifest, files)


def check_target(path: Path, *sources: Path, force: bool = False) -> None:
    """Checks that a bundle may be written to `path`: either nothing is there, or a bundle alone that is to be replaced.

    Args:
        path: the folder or `.voxface` file to write.
        sources: files and folders that are read; `path` must neither be one of them nor lie in one.
        force: whether a bundle that is there already is to be replaced.

    Raises:
        UsageError: a file would be lost.
        InputError: `path` cannot be written.
    """
    real = Path(os.path.realpath(path))
    for source in sources:
        there = Path(os.path.realpath(source))
        if there == real or there in real.parents:
            raise UsageError(f"--out {path}: is {source}, or in it; choose another name")
    if path.suffix == SUFFIX and path.exists():
        if not _holds_bundle(path):
            raise UsageError(f"--out {path}: is there already and is no bundle; choose another name")
    elif path.exists() and not (path / MANIFEST).is_file():
        raise UsageError(f"--out {path}: is there already and is no bundle; choose another name")
    elif path.exists():
        _check_own(path)
    if path.exists() and not force:
        raise refusal(path, "--out")
    try:
        check_writable(real)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error


def _holds_bundle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as z:
            return MANIFEST in z.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _check_own(folder: Path) -> None:
    """Raises UsageError if a bundle's folder also holds other files, which would be deleted with it."""
    try:
        own = {MANIFEST, *json.loads((folder / MANIFEST).read_bytes())["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        own = {MANIFEST}
    others = sorted({file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()} - own)
    if others:
        some = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise UsageError(f"--out {folder}: holds files that are not the bundle's ({some}); choose another name")


def write_zip(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Writes a bundle as one zip, whole or not at all; the same contents give the same bytes."""
    sealed = manifest.sealed(files).to_bytes()

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as z:
            for name, data in ((MANIFEST, sealed), *sorted(files.items())):
                z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

    write_atomically(path, write)


def write_folder(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Writes a bundle as a folder. It is made beside `path` and then renamed; an old bundle stays valid until then.

    Raises:
        UsageError: the folder of the old bundle holds other files too.
    """
    path = Path(os.path.realpath(path))
    if path.exists():
        _check_own(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with room_beside(path) as room:
        fresh = room / "new"
        fresh.mkdir()  # unlike the room it is as readable as any other
        for name, data in ((MANIFEST, manifest.sealed(files).to_bytes() + b"\n"), *files.items()):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(data)
        take_place(fresh, path, room)
