"""Meshes as Wavefront OBJ files.

The text of a mesh, a hundred thousand numbers, is made by numpy, digit by digit, in a quarter of the time that Python takes to
format them.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.provenance.comment import comment_lines
from voxface.runtime.provenance.mark import OF_NO_BUNDLE, Mark

Float32 = NDArray[np.float32]
Text = NDArray[np.uint8]  # letters of ASCII; 0 stands for none
_DECIMALS: Final = 4
_LARGEST: Final = 2e5  # of a number whose digits, with those after the point, fit into 32 bits


def obj(vertices: Float32, normals: Float32, triangles: NDArray[np.int32], mark: Mark = OF_NO_BUNDLE) -> bytes:
    """A Wavefront OBJ file of a generated face, in millimetres.

    Args:
        vertices: float32 [N, 3], millimetres.
        normals: float32 [N, 3].
        triangles: int32 [F, 3].
        mark: which bundle made it. Without one the file says no more than that it is synthetic.
    """
    return b"".join(
        (
            "".join(f"# {line}\n" for line in comment_lines(mark)).encode(),
            _numbers("v", vertices),
            _numbers("vn", normals),
            _faces(triangles, len(vertices)),
        )
    )


def _numbers(kind: str, table: Float32) -> bytes:
    """A line for each row of a table [n, k], as "%.4f" gives its numbers."""
    if table.dtype != np.float32 or not np.abs(table).max(initial=0) < _LARGEST:  # which is false of what is no number
        pattern = f"{kind}{f' %.{_DECIMALS}f' * table.shape[1]}\n"
        return (pattern * len(table) % tuple(table.ravel().tolist())).encode()
    # A number of 24 bits times 10,000, of 14 bits, is exact, so it is rounded as the decimal digits of it would be.
    digits = _digits(np.rint(np.abs(table) * np.float64(10**_DECIMALS)).astype(np.int32), _DECIMALS + 1)
    text = np.zeros((*table.shape, 3 + digits.shape[-1]), np.uint8)
    text[..., 0] = ord(" ")
    text[..., 1] = np.signbit(table) * np.uint8(ord("-"))
    text[..., 2 : -_DECIMALS - 1] = digits[..., :-_DECIMALS]
    text[..., -_DECIMALS - 1] = ord(".")
    text[..., -_DECIMALS:] = digits[..., -_DECIMALS:]
    return _lines(kind, text)


def _faces(triangles: NDArray[np.int32], count: int) -> bytes:
    """A line for each triangle of a mesh of so many vertices: vertex and normal of each corner, counted from 1."""
    digits = _digits(np.arange(1, count + 1, dtype=np.int32), 1)
    between = np.full((count, 1), ord("/"), np.uint8)
    corners = np.concatenate([np.full_like(between, ord(" ")), digits, between, between, digits], axis=1)
    return _lines("f", corners.take(triangles, axis=0))


def _digits(numbers: NDArray[np.int32], least: int) -> Text:
    """Digits [..., most] of whole numbers [...], at least so many of each, and 0 before them."""
    most = max(least, len(str(numbers.max(initial=0))))
    text = np.empty((*numbers.shape, most), np.uint8)
    for place in range(most):
        rest = numbers // 10
        digit = (numbers - 10 * rest).astype(np.uint8)
        digit += ord("0")
        text[..., most - 1 - place] = digit if place < least else digit * (numbers > 0)
        numbers = rest
    return text


def _lines(kind: str, text: Text) -> bytes:
    """Lines that begin with `kind`, of letters [lines, columns, letters]."""
    count = len(text)
    begin = np.tile(np.frombuffer(kind.encode(), np.uint8), (count, 1))
    letters = text.reshape(count, math.prod(text.shape[1:]))
    rows = np.concatenate([begin, letters, np.full((count, 1), ord("\n"), np.uint8)], axis=1)
    return rows[rows > 0].tobytes()
