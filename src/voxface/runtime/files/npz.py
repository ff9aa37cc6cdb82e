"""Arrays of `.npz` archives and `.npy` files: shapes are compared with the bytes that are there before memory is taken."""

import io
import math
import zipfile
from collections.abc import Collection
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

LARGEST: Final = 2 << 30  # bytes of all arrays of an archive
_MEMBERS: Final = 4096
_ENCRYPTED: Final = 1 << 0 | 1 << 6  # flags of a member: encrypted, strongly encrypted
_WRITTEN: Final = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # what numpy writes; others may ask for gigabytes to unpack


def most_in_bundle(packed: int) -> int:
    """The most bytes that a packed file of a bundle unpacks to: modes that move a part of a face are mostly zeros."""
    return (8 << 20) + 16 * packed


def most_unpacked(packed: int) -> int:
    """The most bytes that a packed file of an honest writer unpacks to: arrays of real numbers hardly shrink, zeros do."""
    return min(LARGEST, max(256 << 20, 32 * packed))


def read_npz(data: bytes, names: Collection[str] | None = None, *, most: int | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an archive by name, read-only; pickles are never read.

    Args:
        data: bytes of the archive.
        names: the arrays to read; one that is missing is left out, one that holds Python objects is refused. None: all, without
            those that hold Python objects, which numpy stores as pickles.
        most: the most bytes that the arrays may have together; None: `most_unpacked`.

    Raises:
        ValueError: no archive of arrays, a shape that does not fit the bytes, too much, or a wanted array of Python objects.
        Exception: another one of `damage.DAMAGE`; call it within `damage.reading`.
    """
    if data.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError("a single array (.npy), no archive of arrays")
    if not data.startswith(b"PK"):
        raise ValueError("no zip archive")
    left_over = most_unpacked(len(data)) if most is None else most
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MEMBERS:
            raise ValueError(f"{len(members)} members, more than {_MEMBERS}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or (names is not None and name not in names):
                continue
            if member.compress_type not in _WRITTEN:
                raise ValueError(f"{name} is compressed in a way that numpy does not write")
            if member.flag_bits & _ENCRYPTED:
                raise ValueError(f"{name} is encrypted")
            with archive.open(member) as file:
                shape, fortran, dtype = _header(file)
                if dtype.hasobject:
                    if names is None:
                        continue
                    raise ValueError(f"{name} holds Python objects, and pickles are not read")
                left_over -= _size(name, shape, dtype, member.file_size - file.tell(), left_over)
                arrays[name] = _array(name, file, shape, fortran, dtype)
                file.read(1)  # at its end, zipfile compares the checksum
    return arrays


def to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Real numbers of a file in FP32, without a warning: what is too large becomes infinity, a NaN of any kind a NaN.

    Raises:
        ValueError: the array holds no real numbers.
    """
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{array.dtype} are no real numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN is "invalid"
        return array.astype(np.float32)


def npz_names(data: bytes) -> tuple[str, ...]:
    """The names of an archive's arrays, in order; errors as `read_npz`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


def read_npy(data: bytes, *, most: int = LARGEST) -> NDArray[Any]:
    """The array of a `.npy` file, read-only.

    Raises:
        ValueError: no such file, a shape that does not fit the bytes, too much, or an array of Python objects.
        Exception: another one of `damage.DAMAGE`; call it within `damage.reading`.
    """
    file = io.BytesIO(data)
    shape, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, and pickles are not read")
    _size("it", shape, dtype, len(data) - file.tell(), most)
    return _array("it", file, shape, fortran, dtype)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _size(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], left: int, most: int) -> int:
    """Bytes of an array, after comparing them with those that are left of its file."""
    needed = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize and math.prod(shape) > 1:  # numpy would give each of them a byte
        raise ValueError(f"{name} says it is {list(shape)[:8]} texts without letters")
    if min(shape, default=0) < 0 or needed > left:
        raise ValueError(f"{name} says it is {dtype} {list(shape)[:8]} and has {max(left, 0)} bytes")
    if needed > most:
        raise ValueError(f"{name} has {needed} bytes, more than the {most} that are read")
    return needed


def _array(
    name: str, file: BinaryIO | Any, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> NDArray[Any]:
    needed = math.prod(shape) * dtype.itemsize
    raw = file.read(needed)
    if len(raw) != needed:
        raise ValueError(f"{name} ends {needed - len(raw)} bytes too early")
    if not needed:
        return np.empty(shape, dtype)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
