"""Properties of a mesh: the normals of its vertices and the edges of its boundary."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
OUT_OF_THE_FACE: Final = (0.0, 0.0, 1.0)


def vertex_normals(vertices: Float32, triangles: NDArray[np.int32]) -> Float32:
    """Unit normals of vertices, float32 [N, 3]: the mean of the adjoining triangles' normals, weighted by their areas.

    A vertex without a triangle, or with degenerate ones alone, gets `OUT_OF_THE_FACE`: files of meshes ask for unit normals,
    and such a vertex is not drawn.
    """
    corners = np.ascontiguousarray(triangles.T, np.intp)
    axes = np.ascontiguousarray(vertices.T)
    a, b, c = ([axis.take(corner) for axis in axes] for corner in corners)
    along, across = ([end - begin for begin, end in zip(a, other, strict=True)] for other in (b, c))
    count = len(vertices)
    normals = np.empty((count, 3))
    for axis in range(3):
        y, z = (axis + 1) % 3, (axis + 2) % 3
        faces = (along[y] * across[z] - along[z] * across[y]).astype(np.float64)  # of the cross product
        one, two, three = (np.bincount(corner, faces, count) for corner in corners)
        normals[:, axis] = one + two + three
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    known = (length > 0) & (length < np.inf)
    return np.where(known, normals / np.where(known, length, 1), OUT_OF_THE_FACE).astype(np.float32)


def boundary_edges(triangles: NDArray[np.int32]) -> int:
    """How many edges belong to one triangle only; 0 for a closed surface.

    Raises:
        ValueError: an edge belongs to more than two triangles, or two of them run along it the same way.
    """
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    edges = np.sort(directed[:, 0] << 32 | directed[:, 1])
    if (edges[1:] == edges[:-1]).any():  # not `np.unique` or `np.isin`, which load all of numpy.ma
        raise ValueError("two triangles run along one edge in the same direction: the surface is not orientable there")
    back = np.sort(directed[:, 1] << 32 | directed[:, 0])
    return int((edges[np.minimum(np.searchsorted(edges, back), len(edges) - 1)] != back).sum())
