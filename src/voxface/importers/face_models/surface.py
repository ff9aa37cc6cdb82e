"""Topology as published formats have it, made into what a morphable model needs: consistent triangles of known orientation."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

Triangles = NDArray[np.int64]

MOST_DROPPED = 0.01  # share of the triangles; more than that is no blemish but another kind of surface


def whole_numbers(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.int64]:
    """Indices of any numeric type as int64; InputError if one is no whole number."""
    if values.dtype.kind not in "fiu" or not (np.isfinite(values).all() and (np.rint(values) == values).all()):
        raise InputError(f"{path}: {name} holds something other than whole numbers; fetch the file again")
    if values.size and max(abs(float(values.min())), abs(float(values.max()))) > np.iinfo(np.int32).max:
        raise InputError(f"{path}: {name} holds numbers too large for a vertex; fetch the file again")
    return values.astype(np.int64)


def zero_based(path: Path, name: str, triangles: NDArray[Any], vertices: int) -> Triangles:
    """Triangles [F, 3] or [3, F] of a format that counts from 0 or, like MATLAB, from 1; as int64 [F, 3] from 0.

    Raises:
        InputError: not whole numbers.
    """
    table = whole_numbers(path, name, np.asarray(triangles))
    if table.ndim == 2 and table.shape[0] == 3 and table.shape[1] != 3:
        table = table.T
    if table.size and table.min() >= 1 and table.max() == vertices:
        table = table - 1
    return table


def split_polygons(polygons: list[list[int]]) -> Triangles:
    """Polygons as fans of triangles, int64 [F, 3]; a quad a b c d gives a b c and a c d."""
    fans = [(p[0], p[k], p[k + 1]) for p in polygons for k in range(1, len(p) - 1)]
    return np.array(fans, np.int64).reshape(-1, 3)


def manifold(triangles: Triangles) -> tuple[Triangles, int]:
    """The triangles without those that keep the surface from being an oriented one, and how many were left out.

    Left out are triangles with a repeated corner, second copies of a triangle, and triangles that run along an edge the
    way an earlier triangle already does (a third sheet on one edge, or a flipped triangle).

    Raises:
        InputError: more than 1 % would go; the triangles are not wound in one sense.
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


def facing_out(vertices: NDArray[np.floating], triangles: Triangles) -> Triangles:
    """The triangles counter-clockwise seen from outside: all turned over if the volume they enclose is negative.

    An open mask is closed towards the vertices' centre, which lies behind it.
    """
    a, b, c = (vertices[triangles[:, k]] - vertices.mean(axis=0) for k in range(3))
    return triangles if np.einsum("ij,ij->", a, np.cross(b, c)) >= 0 else triangles[:, ::-1]


def without_vertices_from(triangles: Triangles, end: int) -> Triangles:
    """The triangles all of whose corners come before vertex `end`."""
    return triangles[(triangles < end).all(axis=1)]
