"""Smooth deformations of a head's proportions, which leave no crease where MakeHuman's local modifiers would.

Each deformation is a displacement field over a head in the model's frame (millimetres, origin between the outer eye corners),
odd or even in x, so symmetric heads stay symmetric. The deformations carry most of the published variation of head and face
sizes; local modifiers alone would need to be driven to caricature for it.
"""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.depth_deformations import bell, step
from voxface.training.faces.surface import Vertices

Field = NDArray[np.float64]


def shape_deformations(head: Vertices) -> dict[str, tuple[Vertices, float, float]]:
    """Deformations by name: displacement float64 [N, 3] of one unit, standard deviation and scale of the mean's shift in units.

    A unit is 100 % of the size that changes, or 10 mm for the local bumps.
    """
    x, y, z = head.T
    side = np.tanh(x / 12.0)
    zero = np.zeros(len(head))

    def field(dx: Field = zero, dy: Field = zero, dz: Field = zero) -> Vertices:
        return np.stack([dx, dy, dz], axis=1)

    above_brow, below_nose, below_eyes = _ramp(y, 15, 45), _ramp(-y, 48, 30), _ramp(-y, 0, 30)
    # Everything below the chin moves as much as the chin.
    chin = float(-y[(np.abs(x) < 1e-6) & (z > -30)].min())
    lower = np.minimum(below_nose, _ramp(np.array([chin]), 48, 30))
    middle = np.minimum(below_eyes, _ramp(np.array([50.0]), 0, 30))
    behind = _ramp(-z, 85, 40)
    jaw = step(-y, 45, 105) * step(z, -125, -60)
    skull = step(y, 0, 60)
    front = step(z, -70, -15)
    ten = 10.0
    return {
        "size": (head, 0.022, 0.06),
        "breadth": (field(dx=x), 0.022, 0.03),
        "height": (field(dy=y), 0.022, 0.03),
        "depth": (field(dz=z), 0.022, 0.02),
        "cranium-height": (field(dy=above_brow), 0.050, 0.25),
        "cranium-depth": (field(dz=-behind), 0.050, 0.20),
        "cranium-breadth": (field(dx=x * skull), 0.030, 0.12),
        "lower-face-height": (field(dy=-lower), 0.070, 0.15),
        "middle-face-height": (field(dy=-middle), 0.050, 0.15),
        "face-breadth": (field(dx=x * bell(y, -20, 35) * step(z, -110, -50)), 0.030, 0.10),
        "jaw-breadth": (field(dx=x * jaw), 0.040, 0.15),
        "jaw-projection": (field(dz=ten * step(-y, 45, 95) * front), 0.30, 0.25),
        "under-chin": (field(dy=ten * bell(y, -112, 22) * bell(z, -50, 28) * bell(x, 0, 45)), 0.35, 0.8),
        "throat-forward": (field(dz=ten * step(-y, 95, 125) * bell(z, -55, 30)), 0.30, 0.8),
        "cheek-fullness": (field(dx=ten * side * bell(y, -55, 26) * bell(z, -45, 35)), 0.20, 0.3),
        "eye-distance": (field(dx=ten * side * bell(y, 0, 24) * bell(np.abs(x), 30, 16) * front), 0.10, 0.4),
        "temple-breadth": (field(dx=ten * side * bell(y, 35, 24) * bell(z, -25, 30)), 0.20, 0.4),
        "brow-ridge": (field(dz=ten * bell(y, 14, 11) * bell(z, 5, 25)), 0.12, 0.2),
        "nose-breadth": (
            field(dx=ten * side * bell(y, -40, 14) * bell(np.abs(x), 14, 12) * step(z, -5, 12)),
            0.16,
            0.3,
        ),
        "nose-length": (field(dy=-ten * bell(y, -44, 20) * bell(x, 0, 22) * front), 0.22, 0.3),
        "nose-projection": (field(dz=ten * bell(y, -36, 16) * bell(x, 0, 15) * front), 0.16, 0.3),
        "mouth-breadth": (field(dx=ten * side * bell(y, -69, 14) * bell(np.abs(x), 22, 14) * front), 0.15, 0.3),
        "nape": (field(dz=-ten * bell(y, -70, 40) * step(-z, 120, 150)), 0.3, 0.5),
    }


def lip_closure(head: Vertices, landmarks: NDArray[np.int32]) -> Vertices:
    """Displacement float64 [N, 3] that closes the lips of `head` float64 [N, 3]; MakeHuman leaves a slit open.

    The height over the slit shrinks to a tenth where the lips meet and does not change some millimetres away, so that
    nothing folds over.
    """
    x, y, z = head.T
    inner = landmarks[[64, 63, 62]], landmarks[[64, 65, 66]]
    slit = np.interp(np.abs(x), *_sorted((head[inner[0]] + head[inner[1]])[:, :2] / 2))
    corner = head[landmarks[54]]
    over = (y - slit) * step(corner[0] + 3 - np.abs(x), 0, 6) * step(z, corner[2] - 14, corner[2] - 6)
    moved = np.zeros_like(head)
    moved[:, 1] = -0.9 * over * np.exp(-(((y - slit) / 2.2) ** 2))
    return moved


def _sorted(points: NDArray[np.float64]) -> tuple[Field, Field]:
    """The two columns of points [K, 2], sorted by the first."""
    ordered = points[np.argsort(points[:, 0])]
    return ordered[:, 0], ordered[:, 1]


def _ramp(t: Field, start: float, soft: float) -> Field:
    """0 below `start`, then rising as t − start, the corner rounded over `soft` millimetres."""
    rounded: Field = soft / 4 * np.logaddexp(0.0, (t - start) / (soft / 4))
    return rounded
