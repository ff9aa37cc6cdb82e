"""Archives of arrays (.npz) from strangers: the shape that an array declares is checked against its bytes before it is made."""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.files.zip_archive import ZipArchive

LEAST: Final = 8 << 20  # bytes that arrays may have in all, however small their archive is
RATIO: Final = 16  # how many times the archive's bytes they may have: modes that move a part of a face are mostly zeros
MOST_AXES: Final = 4
_LONGEST_HEADER: Final = 4096  # bytes
_READERS: Final = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_NUMBERS: Final = "biuf"  # kinds of numpy's types: no objects, texts or records


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of numbers in the bytes of an .npz file, by name.

    Raises:
        ValueError: no .npz archive, or one with an array that is refused, or that is damaged; or any other error of
            `voxface.runtime.files.zip_archive.DAMAGE`.
    """
    if not data.startswith(b"PK"):
        raise ValueError("no .npz archive")
    with ZipArchive(io.BytesIO(data), least=LEAST, ratio=RATIO) as archive:
        return {name.removesuffix(".npy"): _array(name, archive.read(name)) for name in archive.sizes}


def _array(name: str, data: bytes) -> NDArray[Any]:
    head = io.BytesIO(data[:_LONGEST_HEADER])
    try:
        version = np.lib.format.read_magic(head)
        if version not in _READERS:
            raise ValueError(f"version {version}")
        shape, fortran, dtype = _READERS[version](head)
    except Exception as error:  # it is evaluated as a Python literal, which may fail in any way
        raise ValueError(f"{name} has a header that is none of numpy's ({error})") from error
    if dtype.kind not in _NUMBERS or len(shape) > MOST_AXES:
        raise ValueError(f"{name} is {dtype} with {len(shape)} axes, no array of numbers")
    numbers = 1
    for length in shape:
        if length < 0:
            raise ValueError(f"{name} has the shape {shape}")
        numbers *= length
    if head.tell() + numbers * dtype.itemsize != len(data):
        raise ValueError(
            f"{name} declares {numbers} numbers of {dtype.itemsize} bytes and has {len(data)} bytes in all"
        )
    flat: NDArray[Any] = np.frombuffer(data, dtype, numbers, head.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
