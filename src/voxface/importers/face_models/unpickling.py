"""Safe reader of pickled model files: every global that a pickle may name is replaced by an inert stand-in.

A pickle is a program that can call whatever `find_class` returns. Here it never returns numpy, scipy or chumpy themselves,
only the classes below, which store their arguments and check them before they become an array.
"""

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

_CODE = re.compile(r"[<>|=]?([fiub])(\d{1,2})")


class _Sealed(type):
    """Classes that a pickle cannot change by assigning to them (the BUILD opcode tries)."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"may not change {cls.__name__}")


class _Dtype(metaclass=_Sealed):
    """Stand-in for `numpy.dtype(code, align, copy)`; of its state only the byte order is used."""

    __slots__ = ("code", "order")

    def __init__(self, code: str = "", *_: Any) -> None:
        self.code, self.order = str(code), "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    def real(self) -> np.dtype[Any] | None:
        """The numpy type of plain numbers; None for objects, text and records, which are dropped."""
        found = _CODE.fullmatch(self.code)
        return np.dtype(self.order + found[1] + found[2]) if found else None


class _Array(metaclass=_Sealed):
    """Stand-in for `numpy.ndarray`, empty until its state is set."""

    __slots__ = ("values",)

    def __init__(self, *_: Any) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        self.fill(raw, dtype, shape, "F" if fortran else "C")

    def fill(self, raw: Any, dtype: _Dtype, shape: Any, order: str) -> None:
        real = dtype.real()
        if real is None or isinstance(raw, list):
            return
        # Python 2 wrote bytes as text; read as latin1 they are the same bytes.
        data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        shape = tuple(int(n) for n in shape)
        if min(shape, default=0) < 0 or len(data) != math.prod(shape) * real.itemsize:
            raise pickle.UnpicklingError(f"an array of shape {shape} and type {real} does not have {len(data)} bytes")
        self.values = np.frombuffer(data, real).reshape(shape, order="F" if order == "F" else "C")


class _FromBuffer(metaclass=_Sealed):
    """Stand-in for `numpy._core.numeric._frombuffer(buffer, dtype, shape, order)`, which makes arrays in protocol 5."""

    def __new__(cls, raw: Any, dtype: _Dtype, shape: Any, order: str = "C") -> Any:
        array = _Array()
        array.fill(raw, dtype, shape, order)
        return array


class _Scalar(metaclass=_Sealed):
    """Stand-in for `numpy.core.multiarray.scalar(dtype, bytes)`: an array of one number."""

    def __new__(cls, dtype: _Dtype, raw: Any = b"") -> Any:
        array = _Array()
        array.fill(raw, dtype, (), "C")
        return array


class _Encoded(metaclass=_Sealed):
    """Stand-in for `_codecs.encode(text, "latin1")`, by which Python 3 writes bytes for Python 2."""

    def __new__(cls, text: str, encoding: str = "latin1") -> Any:
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise pickle.UnpicklingError("bytes in another encoding than latin1")
        return text.encode("latin1")


class _Object(metaclass=_Sealed):
    """Stand-in for `object`, which old pickles name as a base class."""


class _Kept(metaclass=_Sealed):
    """Stand-in for chumpy and scipy.sparse objects that stores only their state; chumpy's array is `x` in it."""

    __slots__ = ("state",)

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reconstructor(metaclass=_Sealed):
    """Stand-in for `copyreg._reconstructor(class, base, state)`, which makes objects in old protocols."""

    def __new__(cls, made: Any, *_: Any) -> Any:
        if made is not _Kept:
            raise pickle.UnpicklingError("an object of a kind that has no place in a face model")
        return _Kept()


class _Inert(pickle.Unpickler):
    """An unpickler whose globals are the stand-ins above and nothing else."""

    ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy", "dtype"): _Dtype,
        ("numpy", "ndarray"): _Array,
        **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
        **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
        **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
        ("_codecs", "encode"): _Encoded,
        **{(module, "_reconstructor"): _Reconstructor for module in ("copyreg", "copy_reg")},
        **{(module, "object"): _Object for module in ("builtins", "__builtin__")},
        **{(module, "set"): _Kept for module in ("builtins", "__builtin__")},  # in the state of a chumpy array
        **{(f"scipy.sparse.{module}", "csc_matrix"): _Kept for module in ("csc", "_csc")},
        ("chumpy.ch", "Ch"): _Kept,
    }

    def __init__(self, path: Path, data: bytes) -> None:
        # Names are not translated (fix_imports), so that an error shows the names in the file.
        super().__init__(io.BytesIO(data), fix_imports=False, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self.ALLOWED:
            asked = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}")
            raise InputError(
                f"{self._path}: this pickle asks to load {asked}, which no face model needs and which could run code; "
                "it was not read further, do not use this file"
            )
        return self.ALLOWED[module, name]


def read_pickle(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric arrays of a pickled dictionary; other entries are dropped.

    Raises:
        InputError: the file is unreadable, damaged, no dictionary, or names a global that is not allowed (the first is named).
    """
    try:
        data = path.read_bytes()
        loaded = _Inert(path, data).load()
    except InputError:
        raise
    except Exception as error:  # the opcodes of a damaged pickle can raise any error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: a damaged pickle, or none ({reason}); fetch it again") from error
    if isinstance(loaded, _Array) and loaded.values is not None:  # tri.pkl of 3DDFA-V2 is one bare array
        return {"": loaded.values}
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: the pickle holds no dictionary of arrays; this is no face model")
    found = {str(key): _numbers(value) for key, value in loaded.items()}
    return {key: values for key, values in found.items() if values is not None}


def _numbers(value: Any) -> NDArray[Any] | None:
    if isinstance(value, _Kept) and isinstance(value.state, dict):
        value = value.state.get("x")
    return value.values if isinstance(value, _Array) else None
