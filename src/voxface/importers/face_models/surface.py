"""Triangles of published formats, converted to an oriented manifold surface that faces outwards."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

Triangles = NDArray[np.int64]

MOST_DROPPED = 0.01  # largest share of triangles that may be dropped


def whole_numbers(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    """Indices of any numeric type as int64; InputError unless all are whole numbers."""
    if values.dtype.kind not in "fiu" or not (np.isfinite(values).all() and (np.rint(values) == values).all()):
        raise InputError(f"{path}: {name} holds something other than whole numbers; fetch the file again")
    if values.size and max(abs(float(values.min())), abs(float(values.max()))) > np.iinfo(np.int32).max:
        raise InputError(f"{path}: {name} holds numbers too large for a vertex; fetch the file again")
    return values.astype(np.int64)


def triangles_from_zero(path: Path, name: str, triangles: NDArray[Any], vertices: int) -> Triangles:
    """Triangles int64 [F, 3] counted from 0, from [F, 3] or [3, F] counted from 0 or, as in MATLAB, from 1.

    Raises:
        InputError: the indices are not whole numbers.
    """
    table = whole_numbers(path, name, np.asarray(triangles))
    if table.ndim == 2 and table.shape[0] == 3 and table.shape[1] != 3:
        table = table.T
    if table.size and table.min() >= 1 and table.max() == vertices:
        table = table - 1
    return table


def split_polygons(polygons: list[list[int]]) -> Triangles:
    """Fans of triangles int64 [F, 3] for polygons; a quad a b c d gives a b c and a c d."""
    fans = [(p[0], p[k], p[k + 1]) for p in polygons for k in range(1, len(p) - 1)]
    return np.array(fans, np.int64).reshape(-1, 3)


def drop_non_manifold(triangles: Triangles) -> tuple[Triangles, int]:
    """The triangles that form an oriented manifold, and the number of triangles dropped.

    Dropped are triangles with a repeated corner, second copies of a triangle, and triangles with a directed edge that an
    earlier triangle already has (a third sheet on one edge, or a flipped triangle).

    Raises:
        InputError: more than 1 % would be dropped, because the triangles are not consistently wound.
    """
    sound = triangles[
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 2] != triangles[:, 0])
    ]
    _, first = np.unique(np.sort(sound, axis=1), axis=0, return_index=True)
    kept = sound[np.sort(first)]
    keys = np.stack([kept[:, k] << 32 | kept[:, (k + 1) % 3] for k in range(3)], axis=1)
    edges, count = np.unique(keys, return_counts=True)
    suspects = np.flatnonzero(np.isin(keys, edges[count > 1]).any(axis=1))
    taken: set[int] = set()
    stay = np.ones(len(kept), bool)
    for index in suspects:
        own = keys[index].tolist()
        stay[index] = taken.isdisjoint(own)
        if stay[index]:
            taken.update(own)
    kept = kept[stay]
    dropped = len(triangles) - len(kept)
    if dropped > MOST_DROPPED * len(triangles):
        raise InputError(
            f"{dropped} of {len(triangles)} triangles are repeated, degenerate or wound against their neighbours; "
            "this topology cannot be used as a surface"
        )
    return kept, dropped


def orient_outwards(vertices: NDArray[np.floating], triangles: Triangles) -> Triangles:
    """The triangles counter-clockwise seen from outside: all are reversed if the enclosed volume is negative.

    The volume of an open mask is that of the cone to the vertices' centre, which lies behind the mask.
    """
    a, b, c = (vertices[triangles[:, k]] - vertices.mean(axis=0) for k in range(3))
    return triangles if np.einsum("ij,ij->", a, np.cross(b, c)) >= 0 else triangles[:, ::-1]


def drop_vertices_from(triangles: Triangles, end: int) -> Triangles:
    """The triangles whose corners are all below vertex `end`."""
    return triangles[(triangles < end).all(axis=1)]
