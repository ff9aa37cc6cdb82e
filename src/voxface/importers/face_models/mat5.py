"""Reader of numeric matrices in MATLAB files of version 5 to 7 (MathWorks, "MAT-File Format", level 5), in pure Python.

`scipy.io.loadmat` crashes the process on some damaged files, so it is unsuitable for untrusted files. Cells, structures,
text and sparse or complex matrices are skipped.
"""

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import most_unpacked
from voxface.runtime.files.regular import read_bytes

HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMERIC_CLASSES = range(6, 16)  # double, single, and the integers
COMPLEX = 0x08


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """The real numeric matrices of a `.mat` file by name, column-major as in MATLAB.

    Raises:
        InputError: the file is unreadable, damaged, or of another version (7.3 is HDF5, 4 has no header).
    """
    data = read_bytes(path)
    mark = data[126:128]
    if len(data) < HEADER or mark not in (b"IM", b"MI"):
        raise InputError(f"{path}: not a MATLAB file of version 5 to 7; save it as such (save -v7)")
    order = "<" if mark == b"IM" else ">"
    if int(np.frombuffer(data[124:126], order + "u2")[0]) != 0x0100:
        raise InputError(f"{path}: a MATLAB file of another version than 5 to 7; save it as such (save -v7)")
    arrays: dict[str, NDArray[Any]] = {}
    left = most_unpacked(len(data))
    with reading(path, "a MATLAB file"):
        at = HEADER
        while at < len(data):
            kind, body, at = _element(data, at, order)
            if kind == COMPRESSED:
                unpacker = zlib.decompressobj()
                unpacked = unpacker.decompress(body, left)
                left -= len(unpacked)
                if left <= 0:
                    raise ValueError(f"it unpacks to more than {most_unpacked(len(data))} bytes")
                kind, body, _ = _element(unpacked, 0, order)
            if kind == MATRIX:
                name, values = _matrix(body, order)
                if values is not None:
                    arrays[name] = values
    return arrays


def _element(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type and contents of the element at offset `at`, and the offset of the next."""
    kind, size = (int(word) for word in np.frombuffer(data[at : at + 8], order + "u4"))
    if kind >> 16:  # the small form: size, type and up to four bytes in one tag
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError(f"a small element of {size} bytes")
    else:
        start = at + 8
        end = start + size + (0 if kind == COMPRESSED else -size % 8)
    body = data[start : start + size]
    if len(body) != size:
        raise ValueError(f"it ends {size - len(body)} bytes too early")
    return kind, body, end


def _matrix(body: bytes, order: str) -> tuple[str, NDArray[Any] | None]:
    """Name and values of a matrix; values are None for kinds without real numbers."""
    _, flags, at = _element(body, 0, order)
    word = int(np.frombuffer(flags[:4], order + "u4")[0])
    if word & 0xFF not in NUMERIC_CLASSES or (word >> 8) & COMPLEX:
        return "", None
    _, dimensions, at = _element(body, at, order)
    _, name, at = _element(body, at, order)
    kind, values, _ = _element(body, at, order)
    shape = [int(n) for n in np.frombuffer(dimensions, order + "i4")]
    flat = np.frombuffer(values, order + NUMBERS[kind])
    if min(shape, default=-1) < 0 or math.prod(shape) != len(flat):
        raise ValueError(f"a matrix of {' by '.join(map(str, shape))} with {len(flat)} values")
    return name.decode("ascii"), flat.reshape(shape, order="F")
