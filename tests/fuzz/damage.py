"""Damage to files that fuzzers share: flipped bytes, cut ends, archives with a changed member, and what is no file at all."""

import io
import os
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Change = Callable[[bytes], bytes]
ODD_NAMES: Final = (
    ("posix", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("subprocess", "Popen"), ("argparse", "Namespace"),
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("torch", "Size"), ("torch", "FloatStorage"),
    ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_tensor_v3"),
    ("torch._utils", "_rebuild_sparse_tensor"), ("torch._utils", "_rebuild_qtensor"), ("torch.storage", "_load_from_bytes"),
    ("numpy", "dtype"), ("numpy", "ndarray"), ("numpy._core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("_codecs", "encode"), ("copy_reg", "_reconstructor"), ("chumpy.ch", "Ch"),
    ("__main__", "Net"), ("torch.nn.modules.container", "Sequential"), ("pathlib", "PosixPath"), ("\u200b", "\n"), ("", ""),
)  # fmt: skip


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One to eight bytes are others, near the beginning as often as anywhere."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if out:
            place = rng.randrange(len(out) if rng.random() < 0.5 else min(len(out), 600))
            out[place] = rng.choice((0, 255, rng.randrange(256)))
    return bytes(out)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end is missing, or a part of the middle."""
    begin = rng.randrange(len(data) + 1)
    return data[:begin] if rng.random() < 0.7 else data[:begin] + data[begin + rng.randrange(200) :]


def blanked(data: bytes, rng: random.Random) -> bytes:
    """A part is zeros, 0xff, or a copy of another part."""
    begin, size = rng.randrange(len(data) + 1), rng.randrange(1, 400)
    there = rng.randrange(len(data) + 1)
    filling = rng.choice((bytes(size), b"\xff" * size, data[there : there + size]))
    return data[:begin] + filling + data[begin + len(filling) :]


def lengthened(data: bytes, rng: random.Random) -> bytes:
    """Something is put into it or follows it."""
    begin = rng.choice((len(data), rng.randrange(len(data) + 1)))
    return data[:begin] + rng.randbytes(rng.randrange(1, 300)) + data[begin:]


def other_numbers(data: bytes, rng: random.Random) -> bytes:
    """Four or eight bytes are a number that sizes and offsets are not."""
    out = bytearray(data)
    number = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, rng.randrange(2**40)))
    width = rng.choice((4, 8))
    if len(out) > width:
        begin = rng.randrange(len(out) - width if rng.random() < 0.5 else min(len(out) - width, 300))
        struct.pack_into("<Q" if width == 8 else "<I", out, begin, number % 2 ** (8 * width))
    return bytes(out)


ANY: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (flipped, cut, blanked, lengthened, other_numbers)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One of the kinds of damage."""
    return rng.choice(ANY)(data, rng)


def rezipped(data: bytes, change: Change, rng: random.Random, only: str = "") -> bytes:
    """The archive with one member changed and checksums that fit, so that readers come to what is in it."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        warnings.simplefilter("ignore")  # of two members with one name
        members = old.infolist()
        chosen = rng.choice([m.filename for m in members if only in m.filename] or [members[0].filename])
        for member in members:
            content = old.read(member)
            method = (
                rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) if rng.random() < 0.2 else member.compress_type
            )
            new.writestr(member.filename, change(content) if member.filename == chosen else content, method)
            if rng.random() < 0.02:
                new.writestr(
                    rng.choice(("../outside", "/data.pkl", "a/data.pkl", "x/constants.pkl", member.filename)), content
                )
    return out.getvalue()


def odd_pickle(rng: random.Random) -> bytes:
    """A program of random opcodes that mostly keep to the order of the stack."""
    out, depth = [bytes([0x80, rng.randint(0, 6)])], 0
    for _ in range(rng.randrange(1, 60)):
        module, name = rng.choice(ODD_NAMES)
        piece, change = rng.choice(
            (
                (f"c{module}\n{name}\n".encode(), 1),
                (b"\x8c" + bytes([len(module.encode())]) + module.encode(), 1),
                (b"K" + rng.randbytes(1), 1), (b"J" + rng.randbytes(4), 1), (b"N", 1), (b"\x88", 1), (b"}", 1), (b"]", 1),
                (b")", 1), (b"(", 1), (b"2", 1), (b"\x85", 0), (b"\x86", -1), (b"\x87", -2), (b"R", -1), (b"\x81", -1),
                (b"b", -1),
                (b"s", -2), (b"a", -1), (b"t", 0), (b"d", 0), (b"l", 0), (b"u", -1), (b"e", -1), (b"Q", 0), (b"q\0", 0),
                (b"h\0", 1), (b"r\xff\xff\xff\x7f", 0), (b"j\xff\xff\xff\xff", 1), (b"\x94", 0), (b"0", -1),
                (b"B" + struct.pack("<I", rng.randrange(9)) + rng.randbytes(8), 1), (b"\x8e" + b"\xff" * 8, 1),
                (b"\x96" + struct.pack("<Q", 2**40), 1), (b"X" + struct.pack("<I", 2**31), 1), (b"\x8b" + b"\xff" * 4, 1),
                (b"S'model.0.weight'\n", 1), (b"I01\n", 1), (b"L" + b"9" * 6000 + b"L\n", 1), (b"F1e999\n", 1), (b"\x97", 1),
            )
        )  # fmt: skip
        if depth + change >= 0 and (change >= 0 or depth > -change):
            out.append(piece)
            depth += change
    return b"".join([*out, b"." if rng.random() < 0.9 else b""])


def nested_pickle(rng: random.Random) -> bytes:
    """Tuples that hold the one before twice: small to read, endless to walk through, to print or to hash."""
    rounds = rng.randrange(30, 200)
    return (
        b"\x80\x04)" + b"".join(b"2\x86" for _ in range(rounds)) + rng.choice((b".", b"}0}h\0K\1s.", b"q\0}h\0K\1s."))
    )


def no_file(folder: Path, good: Path, rng: random.Random) -> Path:
    """A path where no file is: a pipe, a device, a folder, links that lead nowhere or in a circle, or nothing."""
    place = folder / f"odd{good.suffix}"
    if place.is_dir() and not place.is_symlink():
        place.rmdir()
    place.unlink(missing_ok=True)
    kind = rng.randrange(7)
    if kind == 0:
        os.mkfifo(place)
    elif kind == 1:
        place.mkdir()
    elif kind < 6:
        target: Any = ("/dev/zero", folder / "nowhere", place.name, "/dev/null")[kind - 2]
        place.symlink_to(target)
    return place
