"""The files of one face: its picture, its mesh in three formats, and a picture of the mesh."""

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
from voxface.runtime.processor import usable_cores
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
    drawn = _Views(vertices, triangles, albedo)
    # numpy lets go of the interpreter, so the views share the cores. This thread draws as well, once the other files are made.
    others = [Background(drawn.draw) for _ in range(max(1, min(len(VIEWS), usable_cores() - 1)))]
    files = {
        "face.png": png(image, mark),
        "mesh.glb": glb(vertices, normals, albedo, triangles, mark, morph_targets(model) if animated else ()),
        "mesh.ply": ply(vertices, normals, albedo, triangles, mark),
        "mesh.obj": obj(vertices, normals, triangles, mark),
    }
    drawn.draw()
    for other in others:
        other.result()
    return {**files, "mesh.png": png(np.concatenate([drawn.pictures[yaw] for yaw in VIEWS], axis=1), mark)}


class _Views:
    """The views of a mesh, drawn by as many threads as ask."""

    def __init__(
        self, vertices: NDArray[np.float32], triangles: NDArray[np.int32], albedo: NDArray[np.float32]
    ) -> None:
        self._mesh = vertices, triangles, albedo
        self._left = list(reversed(VIEWS))
        self.pictures: dict[float, NDArray[np.uint8]] = {}

    def draw(self) -> None:
        """Draws views until none is left that no thread has begun."""
        while True:
            try:
                yaw = self._left.pop()
            except IndexError:
                return
            self.pictures[yaw] = preview(*self._mesh, yaw=yaw)
