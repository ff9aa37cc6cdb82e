"""Meshes and coefficients that another method wrote: Wavefront OBJ, PLY (ASCII or binary), `.npy`, `.npz`; vertices only."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import read_npy, read_npz, to_float32
from voxface.runtime.files.regular import read_bytes

Kind = Literal["faces", "vertices", "coefficients"]
SUFFIXES: Final = (".obj", ".ply", ".npy", ".npz")
LARGEST: Final = 1 << 30  # bytes of a file
_TYPES: Final = dict(
    (
        *(
            ("char", "i1"),
            ("int8", "i1"),
            ("uchar", "u1"),
            ("uint8", "u1"),
            ("short", "i2"),
            ("int16", "i2"),
            ("ushort", "u2"),
        ),
        *(("uint16", "u2"), ("int", "i4"), ("int32", "i4"), ("uint", "u4"), ("uint32", "u4")),
        *(("float", "f4"), ("float32", "f4"), ("double", "f8"), ("float64", "f8")),
    )
)
_ORDERS: Final = {"binary_little_endian": "<", "binary_big_endian": ">"}


def read_face(file: Path) -> tuple[Kind, NDArray[Any]]:
    """What a file holds: vertices float32 [N, 3], coefficients float32 [P], or (of `.npy`) a picture uint8 [H, W, 3].

    An array's shape says what it is; of an `.npz` the array called "vertices" or "coefficients" is taken, or its only one.

    Raises:
        InputError: the file cannot be read, or holds none of these.
    """
    suffix = file.suffix.lower()
    data = read_bytes(file, LARGEST)
    if suffix == ".obj":
        with reading(file, "an OBJ mesh"):
            return "vertices", _finite(file, _obj(data))
    if suffix == ".ply":
        with reading(file, "a PLY mesh"):
            return "vertices", _finite(file, _ply(data))
    if suffix == ".npy":
        with reading(file, "an .npy array"):
            return _by_shape(file, read_npy(data))
    with reading(file, "an .npz archive"):
        arrays = read_npz(data)
    known: list[str] = [name for name in ("coefficients", "vertices") if name in arrays] or list(arrays)
    if len(known) != 1:
        raise InputError(
            f"{file}: holds {', '.join(arrays) or 'no array'}; one called coefficients or vertices is needed"
        )
    return _by_shape(file, arrays[known[0]])


def _by_shape(file: Path, array: NDArray[Any]) -> tuple[Kind, NDArray[Any]]:
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and array.size:
        return "faces", array
    if array.dtype.kind in "fiu" and array.ndim == 2 and array.shape[1] == 3:
        return "vertices", _finite(file, to_float32(array))
    if array.dtype.kind in "fiu" and (array.ndim == 1 or (array.ndim == 2 and 1 in array.shape)):
        return "coefficients", _finite(file, to_float32(array.reshape(-1)))
    raise InputError(
        f"{file}: {array.dtype} {list(array.shape)} is no picture (uint8 [H, W, 3]), vertices [N, 3] or coefficients [P]"
    )


def _finite(file: Path, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    if not numbers.size or not np.isfinite(numbers).all():
        raise InputError(f"{file}: holds {'numbers that are not finite' if numbers.size else 'no numbers'}")
    return numbers


def _obj(data: bytes) -> NDArray[np.float32]:
    rows = [line.split()[1:4] for line in data.decode("utf-8", "replace").splitlines() if line.startswith("v ")]
    if not rows:
        raise ValueError("it has no vertices")
    if short := next((row for row in rows if len(row) < 3), None):
        raise ValueError(f"a vertex has the numbers {' '.join(short) or '(none)'}, not three")
    return to_float32(np.array(rows, np.float64).reshape(len(rows), 3))


def _ply(data: bytes) -> NDArray[np.float32]:
    """Vertices of a PLY file; what stands behind the vertices is not read."""
    head, mark, _ = data.partition(b"end_header")
    if not data.startswith(b"ply") or not mark:
        raise ValueError("it has no header")
    begin = data.index(b"\n", len(head)) + 1
    form, before, fields, count = "", 0, [], -1
    for words in _words(head):
        if words[0] == "format":
            form = words[1]
        elif words[0] == "element":
            if count >= 0:
                break
            if words[1] == "vertex":
                count = int(words[2])
            else:
                before += int(words[2])
        elif words[0] == "property" and count >= 0 and words[1] not in _TYPES:
            raise ValueError(f"its vertices have a {words[1]}, which is no number")
        elif words[0] == "property" and count >= 0:
            fields.append((words[-1], _TYPES[words[1]]))
    if before or count < 0 or not {"x", "y", "z"} <= {name for name, _ in fields}:
        raise ValueError("its first element is no vertex with x, y and z")
    if form == "ascii":
        lines = data[begin:].decode("ascii").splitlines()[:count]
        table = np.array([line.split()[: len(fields)] for line in lines], np.float64).reshape(-1, len(fields))
        places = [[name for name, _ in fields].index(axis) for axis in "xyz"]
        if len(table) < count:
            raise ValueError(f"it ends after {len(table)} of {count} vertices")
        return to_float32(table[:, places])
    if form not in _ORDERS:
        raise ValueError(f"its format {form!r} is none of ascii, {', '.join(_ORDERS)}")
    row = np.dtype([(name, _ORDERS[form] + of) for name, of in fields])
    if count * row.itemsize > len(data) - begin:
        raise ValueError(f"it ends before its {count} vertices do")
    found = np.frombuffer(data, row, count, begin)
    return to_float32(np.stack([found[axis] for axis in "xyz"], axis=1))


def _words(head: bytes) -> Iterator[list[str]]:
    for line in io.StringIO(head.decode("ascii", "replace")):
        words = line.split()
        if words:
            yield words
