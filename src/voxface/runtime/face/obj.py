"""Meshes as Wavefront OBJ files."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.provenance.comment import comment_lines
from voxface.runtime.provenance.mark import OF_NO_BUNDLE, Mark

Float32 = NDArray[np.float32]


def obj(vertices: Float32, normals: Float32, triangles: NDArray[np.int32], mark: Mark = OF_NO_BUNDLE) -> bytes:
    """A Wavefront OBJ file of a generated face, in millimetres.

    Args:
        vertices: float32 [N, 3], millimetres.
        normals: float32 [N, 3].
        triangles: int32 [F, 3].
        mark: which bundle made it. Without one the file says no more than that it is synthetic.
    """
    corners = [f"{i}//{i}" for i in range(1, len(vertices) + 1)]
    return "".join(
        (
            *(f"# {line}\n" for line in comment_lines(mark)),
            _rows("v %.4f %.4f %.4f\n", vertices),
            _rows("vn %.4f %.4f %.4f\n", normals),
            "f %s %s %s\n" * len(triangles) % tuple(map(corners.__getitem__, triangles.ravel().tolist())),
        )
    ).encode()


def _rows(pattern: str, table: Float32) -> str:
    return pattern * len(table) % tuple(table.ravel().tolist())
