"""Meshes as binary PLY files."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.provenance.comment import comment_lines
from voxface.runtime.provenance.mark import OF_NO_BUNDLE, Mark

Float32 = NDArray[np.float32]


def ply(
    vertices: Float32,
    normals: Float32,
    colours: Float32,
    triangles: NDArray[np.int32],
    mark: Mark = OF_NO_BUNDLE,
) -> bytes:
    """A binary PLY file of a generated face, in millimetres.

    Args:
        vertices: float32 [N, 3], millimetres.
        normals: float32 [N, 3].
        colours: float32 [N, 3] in [0, 1], sRGB.
        triangles: int32 [F, 3].
        mark: which bundle made it. Without one the file says no more than that it is synthetic.
    """
    points = np.zeros(len(vertices), [("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)])
    points["xyz"], points["normal"], points["rgb"] = vertices, normals, np.rint(colours * 255)
    faces = np.zeros(len(triangles), [("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"], faces["vertices"] = 3, triangles
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        + "".join(f"comment {line}\n" for line in comment_lines(mark))
        + f"element vertex {len(vertices)}\n"
        + "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
        + "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
        + f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode() + points.tobytes() + faces.tobytes()
