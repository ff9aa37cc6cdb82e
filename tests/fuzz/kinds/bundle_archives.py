"""Bundles as zips and folders that declare what they do not hold: bombs, overlaps, odd names, links, pipes, damaged bytes."""

import hashlib
import io
import json
import os
import random
import shutil
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from tests.conftest import SAMPLES
from tests.fuzz.commands import Commands
from tests.fuzz.kinds.manifests import SMALL, allowances, command_lines, judge, read, seal, write

FULL = 500
QUICK = 30
NEEDS: tuple[str, ...] = ()
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NAMES: Final = ("../x", "/x", "a/../../x", "", "\x1b[31m", "a\nb", "n" * 400, "c:x", "mesh.onnx", "\udcff", "名")
BOMB: Final = 160 << 20  # bytes


def _bomb_member(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A file of the bundle that packs to nearly nothing; or, worse, one that unpacks to more than it declares."""
    name, method = rng.choice(list(files)), rng.choice(METHODS[1:])
    manifest = json.loads(files["bundle.json"])
    honest = rng.random() < 0.5
    declared = BOMB if honest else rng.choice((0, 1, 1000))
    if name in manifest["files"]:
        manifest["files"][name] = {"size": declared, "sha256": "0" * 64}
    zeros = bytes(1 << 20)
    with zipfile.ZipFile(path, "w") as z:
        if name != "bundle.json":
            z.writestr("bundle.json", seal(manifest))
        with z.open(_info(name, method), "w") as out:
            for _ in range(BOMB >> 20):
                out.write(zeros)
    if not honest:
        data = bytearray(path.read_bytes())
        at = data.rfind(b"PK\1\2")
        data[at + 24 : at + 28] = struct.pack("<I", declared)
        path.write_bytes(data)
    return f"{name} of {BOMB} bytes by method {method}, declared {declared}"


def _info(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


def _bomb_array(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A morphable model with an array that is huge, of objects, or whose header lies."""
    with zipfile.ZipFile(io.BytesIO(files["morphable.npz"])) as z:
        members = {name: z.read(name) for name in z.namelist()}
    name = rng.choice(list(members))
    kind = rng.choice(("shape", "shape", "objects", "zeros", "header", "type", "metadata"))
    if kind == "zeros":
        members[name] = _npy((1 << 26,), "f4") + bytes(1 << 28)
    elif kind == "header":
        raw = rng.choice(("(" * 3000, "{'descr': 1}", "import os", "\u00e9", "{'descr': '<f4', 'shape': (1,)}"))
        text = raw.encode("latin1")
        members[name] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    elif kind == "metadata":
        members["metadata.npy"] = _npy((9000,), "u1") + (b"[" * 9000)
    else:
        shape = rng.choice(((1 << 40,), (1 << 62, 3), (-1, 3), (0, 3), (2,) * 40, (1 << 31, 1 << 31)))
        code = {"objects": "O", "type": rng.choice(("U9", "M8[s]", "c16", "V7", "f2", "f8", "i8"))}.get(kind, "f4")
        members[name] = _npy(shape, code) + members[name][128:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for each, data in members.items():
            z.writestr(each, data)
    _put(files, path, "morphable.npz", out.getvalue())
    return f"{name}: {kind}"


def _npy(shape: tuple[int, ...], code: str) -> bytes:
    descr = np.dtype(code).str if code != "O" else "|O"
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _put(files: dict[str, bytes], path: Path, name: str, data: bytes) -> None:
    manifest = json.loads(files["bundle.json"])
    manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write(path, {**files, name: data, "bundle.json": seal(manifest)})


def _names(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A file of an odd name, in the manifest, the zip or both; or two of one name."""
    name = rng.choice(NAMES)
    manifest = json.loads(files["bundle.json"])
    if rng.random() < 0.7:
        manifest["files"][name] = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as z:
        warnings.simplefilter("ignore")  # of two members with one name
        for each, data in {**files, "bundle.json": seal(manifest)}.items():
            z.writestr(each, data)
        if name and not any("\ud800" <= letter <= "\udfff" for letter in name):
            z.writestr(name, b"x")
    return f"a file named {name[:20]!r}"


def _directory(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A table of members that is huge, overlaps, or says that the archive is larger than it is."""
    write(path, files)
    data = bytearray(path.read_bytes())
    kind = rng.choice(("sizes", "offset", "count", "overlap", "many"))
    if kind == "many":
        with zipfile.ZipFile(path, "a") as z:
            for index in range(30_000):
                z.writestr(zipfile.ZipInfo(f"{index}"), b"")
        return "30,000 members"
    table, end = data.rfind(b"PK\1\2"), data.rfind(b"PK\5\6")
    field, size = {
        "sizes": (table + rng.choice((20, 24)), 4),
        "offset": (table + 42, 4),
        "count": (end + rng.choice((8, 10)), 2),
        "overlap": (table + 42, 4),
    }[kind]
    value = 0 if kind == "overlap" else rng.choice((1, 1 << 15, (1 << 32) - 2))
    data[field : field + size] = struct.pack("<Q", value)[:size]
    path.write_bytes(data)
    return f"{kind} = {value}"


def _folder(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A folder with links, loops, pipes, folders or holes in place of files."""
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    name = rng.choice(list(files))
    place = path / name
    kind = rng.choice(("loop", "out", "pipe", "folder", "holes", "device", "itself", "inside"))
    if kind == "holes":
        manifest = json.loads(files["bundle.json"])
        name = rng.choice(list(manifest["files"]))
        manifest["files"][name]["size"] = 4 << 30
        (path / "bundle.json").write_bytes(seal(manifest))
        os.truncate(path / name, 4 << 30)
        return f"{name} has holes"
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "inside":
        (path / "real").write_bytes(files[name])
        place.symlink_to("real")
    else:
        to = {"loop": name, "out": "/etc/passwd", "device": "/dev/zero", "itself": "."}[kind]
        place.symlink_to(to)
    return f"{name}: {kind}"


def _bytes(files: dict[str, bytes], path: Path, rng: random.Random) -> str:
    """A zip with bytes flipped or cut off."""
    with zipfile.ZipFile(path, "w", rng.choice(METHODS)) as z:
        for name, data in files.items():
            z.writestr(name, data)
    changed = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 4, 32))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    if rng.random() < 0.3:
        del changed[rng.randrange(len(changed)) :]
    path.write_bytes(changed)
    return "bytes"


CHANGES: Final = (_bomb_member, _bomb_array, _bomb_array, _names, _directory, _folder, _folder, _bytes, _bytes)


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Writes the small bundle in another wrong way in each case."""
    files = read(SMALL)
    found: list[str] = []
    bundle = folder / "hostile.voxface"
    with Commands(folder) as commands:
        allowed = allowances(commands, SMALL, SAMPLES[0], folder)
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            if bundle.is_dir():
                shutil.rmtree(bundle)
            bundle.unlink(missing_ok=True)
            told = rng.choice(CHANGES)(files, bundle, rng)
            lines = command_lines(bundle, SAMPLES[0], folder)
            for verb in ("info", rng.choice(("verify", "run"))):
                outcome = commands.run(*lines[verb], seconds=30.0)
                found += [f"case {number}, {verb}, {told}: {problem}" for problem in judge(verb, outcome, allowed)]
    return found
