"""NumPy arrays in pickles: how face models, whitenings and some checkpoints store numbers."""

import io
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import read_bytes
from voxface.training.foreign.pickles import Global, Made, Pickled, Table, read_pickled

_CODE: Final = re.compile(r"[<>|=]?([fiub])(\d{1,2})")
_CORES: Final = ("numpy.core", "numpy._core")
_RECONSTRUCT: Final = tuple(f"{core}.multiarray._reconstruct" for core in _CORES)
SCALAR: Final = tuple(f"{core}.multiarray.scalar" for core in _CORES)  # a number or a text by itself
_FROM_BUFFER: Final = tuple(f"{core}.numeric._frombuffer" for core in _CORES)
_RECONSTRUCTOR: Final = ("copyreg._reconstructor", "copy_reg._reconstructor")
_CHUMPY: Final = "chumpy.ch.Ch"
# What pickles of arrays name; `set`, `csc_matrix` and `Ch` are of FLAME's, `object` of the oldest protocols.
ARRAYS: Final = frozenset(
    {"numpy.dtype", "numpy.ndarray", *_RECONSTRUCT, *SCALAR, *_FROM_BUFFER, *_RECONSTRUCTOR, _CHUMPY, "_codecs.encode"}
    | {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("object", "set", "bytes", "bytearray")}
    | {f"scipy.sparse.{module}.csc_matrix" for module in ("csc", "_csc")}
    | {"collections.OrderedDict", "collections.defaultdict"}
)


def read_pickle(path: Path, needed_by: str = "face model") -> dict[str, NDArray[Any]]:
    """The numeric arrays of a pickled dictionary; other entries are dropped. A bare array has the name "".

    Args:
        path: the file.
        needed_by: what is read, for the message about a global that it does not need.

    Raises:
        InputError: the file is unreadable, damaged, no dictionary, or names a global that no array needs (the first is named).
    """
    data = read_bytes(path)
    with reading(path, "a pickle"):
        pickled = read_pickled(io.BytesIO(data))
        check_globals(path, pickled, ARRAYS, needed_by)
        bare = array_of(pickled.value)
        if bare is not None:  # tri.pkl of 3DDFA-V2
            return {"": bare}
        found = arrays_of(pickled.value)
    if found is None:
        raise InputError(f"{path}: the pickle holds no dictionary of arrays; this is no {needed_by}")
    return found


def check_globals(path: Path, pickled: Pickled, known: Collection[str], needed_by: str) -> None:
    """Checks what a pickle names.

    Raises:
        InputError: it names something that is not `known`, the first of which is named.
    """
    for one in pickled.globals:
        if f"{one.module}.{one.name}" not in known:
            why = "and which could run code" if one.could_run else "and which is not loaded"
            raise InputError(
                f"{path}: this pickle asks to load {one}, which no {needed_by} needs {why}; nothing of it was run, do not use "
                "this file"
            )


def arrays_of(value: Any) -> dict[str, NDArray[Any]] | None:
    """The numeric arrays of a dictionary; None if the value is no dictionary.

    Raises:
        ValueError: an array does not have the bytes that it says.
    """
    pairs = pairs_of(value)
    if pairs is None:
        return None
    found = {key: array_of(each) for key, each in pairs if isinstance(key, str)}
    return {key: array for key, array in found.items() if array is not None}


def pairs_of(value: Any) -> list[tuple[Any, Any]] | None:
    """The pairs of a dictionary of any class, as `OrderedDict`; None if the value is none."""
    if isinstance(value, Table):
        return value.pairs
    if not isinstance(value, Made):
        return None
    if value.pairs:
        return value.pairs
    if value.is_of("collections.OrderedDict", "collections.defaultdict"):
        first = value.arguments[0] if value.arguments else []
        if isinstance(first, list):  # Python 2 handed the pairs over as a list
            return [tuple(pair) for pair in first if isinstance(pair, list | tuple) and len(pair) == 2]
        return []
    return None


def array_of(value: Any) -> NDArray[Any] | None:
    """A numeric array, or an array of one number; None for everything else, arrays of objects and text included.

    Raises:
        ValueError: the array does not have the bytes that it says.
    """
    if not isinstance(value, Made):
        return None
    if value.is_of(*_RECONSTRUCT):
        if not isinstance(value.state, tuple) or len(value.state) < 4:
            return None
        shape, dtype, fortran, raw = value.state[-4:]
        return _filled(raw, dtype, shape, bool(fortran))
    if value.is_of(*_FROM_BUFFER) and len(value.arguments) >= 3:
        raw, dtype, shape, *order = value.arguments
        return _filled(raw, dtype, shape, order[:1] == ["F"])
    if value.is_of(*SCALAR) and value.arguments:
        dtype, *rest = value.arguments
        return _filled(rest[0] if rest else b"", dtype, (), False)
    return _of_chumpy(value)


def _of_chumpy(value: Made) -> NDArray[Any] | None:
    """The array within an object of chumpy, which wraps FLAME's."""
    made = value.arguments[0] if value.is_of(*_RECONSTRUCTOR) and value.arguments else value.callee
    if not isinstance(made, Global) or f"{made.module}.{made.name}" != _CHUMPY:
        return None
    for key, each in pairs_of(value.state) or ():
        if key == "x":
            return array_of(each) if isinstance(each, Made) and not _is_chumpy(each) else None
    return None


def _is_chumpy(value: Made) -> bool:
    return value.is_of(_CHUMPY, *_RECONSTRUCTOR)


def _filled(raw: Any, dtype: Any, shape: Any, fortran: bool) -> NDArray[Any] | None:
    real = _type(dtype)
    data = bytes_of(raw)
    if real is None or data is None:
        return None
    if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
        raise ValueError("an array whose shape is no tuple of whole numbers")
    if min(shape, default=0) < 0 or len(data) != math.prod(shape) * real.itemsize:
        raise ValueError(f"an array of shape {shape[:8]} and type {real} does not have {len(data)} bytes")
    return np.frombuffer(data, real).reshape(shape, order="F" if fortran else "C")


def _type(value: Any) -> np.dtype[Any] | None:
    """The type of plain numbers; None for objects, text and records."""
    if not isinstance(value, Made) or not value.is_of("numpy.dtype") or not value.arguments:
        return None
    found = _CODE.fullmatch(value.arguments[0]) if isinstance(value.arguments[0], str) else None
    if found is None:
        return None
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "<"
    return np.dtype((order if order in ("<", ">") else "=") + found[1] + found[2])


def bytes_of(value: Any) -> bytes | bytearray | None:
    """Bytes as any protocol writes them; None for everything else.

    Raises:
        ValueError: they are encoded in another way than Python does it.
    """
    if isinstance(value, bytes | bytearray):
        return value
    if isinstance(value, str):  # Python 2 wrote bytes as text; read as latin1 they are the same bytes
        return value.encode("latin1")
    if isinstance(value, Made) and value.is_of("_codecs.encode"):  # by which Python 3 writes bytes for Python 2
        if value.arguments[1:] not in (("latin1",), ("latin-1",)) or not isinstance(value.arguments[0], str):
            raise ValueError("bytes in another encoding than latin1")
        return value.arguments[0].encode("latin1")
    if isinstance(value, Made) and value.is_of(
        *(f"{m}.{n}" for m in ("builtins", "__builtin__") for n in ("bytes", "bytearray"))
    ):
        return bytes_of(value.arguments[0]) if value.arguments else b""
    return None
