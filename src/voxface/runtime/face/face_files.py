"""The files of one face: its picture, its mesh in three formats, and a picture of the mesh."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.background import Background
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.face.obj import obj
from voxface.runtime.face.ply import ply
from voxface.runtime.face.png import png
from voxface.runtime.face.rasteriser import preview
from voxface.runtime.provenance.mark import Mark

VIEWS: Final = (0.0, 40.0, 90.0)  # degrees: front, three-quarter, side


def face_files(
    image: NDArray[np.uint8],
    vertices: NDArray[np.float32],
    model: MorphableModel,
    mark: Mark,
    *,
    animated: bool = False,
) -> dict[str, bytes]:
    """Contents by file name: `face.png`, `mesh.glb` (metres), `mesh.ply`, `mesh.obj` (millimetres) and `mesh.png`, which shows
    the mesh from the front, three-quarter and side.

    Args:
        image: uint8 [H, W, 3], RGB.
        vertices: float32 [N, 3], millimetres, of `model`, which gives triangles and colours.
        mark: what every file says of itself.
        animated: whether `mesh.glb` gets the model's morph targets.
    """
    triangles, albedo = model.triangles, model.albedo
    normals = vertex_normals(vertices, triangles)
    # numpy lets go of the interpreter, so the views share the cores.
    views = [Background(partial(preview, vertices, triangles, albedo, yaw=yaw)) for yaw in VIEWS]
    return {
        "face.png": png(image, mark),
        "mesh.glb": glb(vertices, normals, albedo, triangles, mark, morph_targets(model) if animated else ()),
        "mesh.ply": ply(vertices, normals, albedo, triangles, mark),
        "mesh.obj": obj(vertices, normals, triangles, mark),
        "mesh.png": png(np.concatenate([view.result() for view in views], axis=1), mark),
    }
