"""Smooth deformations of a head in depth, round its landmarks: nose, lips, chin, orbits, brows and ears.

MakeHuman's modifiers move what is seen from the front; these move what is seen from the side. Each field is centred on the
landmarks of the head it is made for, because women's and men's lie elsewhere. Units are 10 mm, as in `shape_deformations`.
"""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.surface import Vertices

Field = NDArray[np.float64]
TEN = 10.0


def depth_deformations(head: Vertices, at: dict[str, NDArray[np.float64]]) -> dict[str, tuple[Vertices, float, float]]:
    """Deformations by name: displacement float64 [N, 3] of one unit, standard deviation and scale of the mean's shift in units.

    Args:
        head: float64 [N, 3], millimetres, origin between the outer eye corners.
        at: places float64 [3] of the landmarks on the head's left and its midline.
    """
    x, y, z = head.T
    across = np.abs(x)
    side = np.tanh(x / 12.0)
    front = step(z, -70, -15)
    zero = np.zeros(len(head))

    def move(weight: Field, right: float = 0.0, up: float = 0.0, forward: float = 0.0) -> Vertices:
        moved: Vertices = TEN * weight[:, None] * np.stack([right * side, up + zero, forward + zero], axis=1)
        return moved

    def spot(name: str, wide: float, high: float, up: float = 0.0, out: float = 0.0) -> Field:
        """A bump of `front` over a landmark, and over its mirror image, `up` and `out` mm from it."""
        place = at[name]
        beside = bell(across, max(float(place[0]), 0.0) + out, wide)
        bump: Field = beside * bell(y, float(place[1]) + up, high) * front
        return bump

    ear = step(across, 52, 68) * bell(z, float(at["tragion"][2]) - 12, 38) * bell(y, float(at["tragion"][1]), 48)
    # The nose grows forward in proportion to how far it stands out, so that its tip keeps its shape.
    wing, tip = float(at["alare"][2]), float(at["pronasale"][2])
    standing_out = 4.0 * np.logaddexp(0.0, (z - wing) / 4.0) / (tip - wing)
    nose = np.minimum(standing_out, 1.1) * bell(x, 0, 17) * bell(y, float(at["pronasale"][1]), 17)
    # A face is round: what lies at the side lies further back.
    curved = np.minimum(np.square(x / 50.0), 2.0) * step(z, -100, -25) * bell(y, -25, 65)
    return {
        "face-curvature": (move(curved, forward=-1), 0.084, 0.8),
        "nose-root-depth": (move(spot("sellion", 10, 13, up=-2), forward=1), 0.072, 0.5),
        "nose-bridge-depth": (move(spot("bridge", 9, 10, up=-6), forward=1), 0.06, 0.4),
        "nose-lower-bridge-depth": (move(spot("lower bridge", 8, 7), forward=1), 0.048, 0.3),
        "nose-tip-depth": (move(nose, forward=1), 0.084, 0.6),
        "nose-tip-height": (move(nose, up=1), 0.084, 0.6),
        "nose-wing-depth": (move(spot("alare", 5.5, 8, out=-2.5), forward=1), 0.048, 0.45),
        "nose-base-depth": (move(spot("subnasale", 20, 9), forward=1), 0.06, 0.4),
        "lips-curvature": (move(spot("side of the upper lip", 8, 13, up=-5), forward=1), 0.024, 0.3),
        "upper-lip-depth": (move(spot("stomion", 22, 8, up=6), forward=1), 0.036, 0.4),
        "lower-lip-depth": (move(spot("stomion", 21, 8, up=-9), forward=1), 0.036, 0.4),
        "mouth-corner-depth": (move(spot("cheilion", 10, 12), forward=1), 0.03, 0.3),
        "mouth-depth": (move(spot("stomion", 30, 20), forward=1), 0.084, 0.5),
        "chin-depth": (move(spot("pogonion", 24, 13), forward=1), 0.108, 0.6),
        "chin-fold-depth": (move(spot("sublabiale", 20, 7), forward=1), 0.06, 0.4),
        "chin-height": (move(spot("pogonion", 30, 14), up=1), 0.108, 0.8),
        "lower-jaw-depth": (move(spot("menton", 45, 26, up=4), forward=1), 0.108, 0.8),
        "orbit-depth": (move(spot("exocanthion", 15, 14, out=-13), forward=-1), 0.084, 0.8),
        "orbit-outer-depth": (move(spot("exocanthion", 11, 12, out=2), forward=-1), 0.06, 0.5),
        "orbit-inner-depth": (move(spot("endocanthion", 7, 9), forward=-1), 0.048, 0.3),
        "orbit-height": (move(spot("exocanthion", 22, 13, out=-13), up=-1), 0.084, 0.6),
        "brow-depth": (move(spot("brow", 15, 9), forward=1), 0.06, 0.4),
        "inner-brow-depth": (move(spot("inner brow", 10, 6), forward=1), 0.048, 0.3),
        "glabella-depth": (move(spot("glabella", 14, 10), forward=1), 0.06, 0.4),
        "forehead-depth": (move(spot("crinion", 42, 26, up=-22), forward=1), 0.084, 0.5),
        "ear-depth": (move(ear, forward=1), 0.12, 0.8),
        "ear-breadth": (move(ear, right=1), 0.084, 0.6),
    }


def step(t: Field, start: float, end: float) -> Field:
    """0 below `start`, 1 above `end`, smooth between."""
    s = np.clip((t - start) / (end - start), 0, 1)
    rising: Field = s * s * s * (s * (6 * s - 15) + 10)
    return rising


def bell(t: Field, middle: float, width: float) -> Field:
    """A Gaussian, 1 in the middle."""
    rounded: Field = np.exp(-(((t - middle) / width) ** 2) / 2)
    return rounded
