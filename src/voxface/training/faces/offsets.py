"""Places of landmarks as targets: how far one vertex lies from another along a direction, which is linear in the parameters.

They place the landmarks of a head as a headboard does: in the Frankfurt plane, in which the model's z axis lies.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.anthropometry import Place
from voxface.training.faces.gaussian import Matrix
from voxface.training.faces.surface import Vertices

X, Y, Z = range(3)
ACROSS, UP, FORWARD = np.eye(3)
# Tolerances in millimetres, of depth, height and breadth.
SLACK = (0.25, 0.6, 0.6)
# A point that is found by touch, or lies where the surface goes on in the same direction, is hardly determined along it.
SLACK_OF = {
    "crinion": (0.4, 6.0, 1.0),
    "glabella": (0.3, 40.0, 1.0),
    "inner brow": (0.5, 1.0, 1.0),
    "brow": (0.6, 1.0, 1.0),
    "bridge": (0.3, 0.8, 1.0),
    "lower bridge": (0.4, 0.8, 1.0),
    "alare": (0.35, 2.0, 1.0),
    "pronasale": (0.25, 2.0, 1.0),
    "subnasale": (0.25, 0.8, 1.0),
    "upper lip": (0.3, 0.8, 1.0),
    "lower lip": (0.3, 0.8, 1.0),
    "side of the upper lip": (0.4, 1.0, 1.0),
    "side of the lower lip": (0.4, 1.0, 1.0),
    "cheilion": (0.3, 1.0, 1.0),
    "sublabiale": (0.4, 1.5, 1.0),
    "pogonion": (0.25, 1.5, 1.0),
    "menton": (0.3, 40.0, 1.0),
    "ectoorbitale": (0.6, 3.0, 0.4),
    "gonion": (0.4, 3.0, 20.0),
    "tragion": (0.3, 0.5, 0.6),
}
SKIN_SLACK = 0.4


@dataclass(frozen=True)
class Offset:
    """How far one vertex lies from another along a direction, and how far it shall.

    Attributes:
        vertex, origin: vertices.
        direction: float64 [3], a unit vector.
        wanted: millimetres.
        slack: tolerance, millimetres.
    """

    vertex: int
    origin: int
    direction: NDArray[np.float64]
    wanted: float
    slack: float


def landmark_offsets(places: dict[str, Place], pairs: dict[str, tuple[int, int]], sellion: int) -> dict[str, Offset]:
    """The offsets that published places determine: "depth of the menton", "height of the menton", "breadth at the tragion".

    Args:
        places: published places by landmark.
        pairs: vertices (right, left) by landmark; the same vertex twice on the midline.
        sellion: the vertex that depths and heights are taken from.
    """
    found: dict[str, Offset] = {}
    for name, place in places.items():
        right, left = pairs[name]
        depth, height, breadth = SLACK_OF.get(name, SLACK)
        for what, origin, direction, wanted, slack in (
            ("depth of the", sellion, FORWARD, place.forward, depth),
            ("height of the", sellion, UP, place.up, height),
            ("breadth at the", right, ACROSS, place.breadth, breadth),
        ):
            if not np.isnan(wanted):
                found[f"{what} {name}"] = Offset(left, origin, direction, wanted, slack)
    return found


def skin_offsets(
    spots: NDArray[np.float64], vertices: NDArray[np.int64], sellion: int, normals: NDArray[np.float64]
) -> dict[str, Offset]:
    """The offsets that bring the skin at vertices int64 [K] to spots float64 [K, 3] (across, up, forward from the sellion).

    Only the distance along the skin's normals float64 [N, 3] counts, because along the skin a spot is no certain point.
    """
    return {
        f"skin {k}": Offset(int(vertex), sellion, normals[vertex], float(normals[vertex] @ spot), SKIN_SLACK)
        for k, (vertex, spot) in enumerate(zip(vertices, spots, strict=True))
    }


def measure_offsets(
    centre: Vertices, directions: Matrix, which: dict[str, Offset], parameters: Matrix
) -> NDArray[np.float64]:
    """Offsets float64 [S, M] in millimetres on the shapes centre + parameters · directions, parameters float64 [S, K]."""
    measured = np.empty((len(parameters), len(which)))
    for m, offset in enumerate(which.values()):
        start = (centre[offset.vertex] - centre[offset.origin]) @ offset.direction
        slope = (directions[:, offset.vertex] - directions[:, offset.origin]) @ offset.direction
        measured[:, m] = start + parameters @ slope
    return measured
