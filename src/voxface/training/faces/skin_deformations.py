"""Smooth bumps of the skin, one over each spot that has a target, wide enough to run into one another."""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.surface import Vertices

# Width of a bump as a share of the mean distance to the nearest spots, and the most it may be (mm).
WIDTH, NEIGHBOURS, WIDEST_MM = 0.9, 4, 14.0
TEN = 10.0
# Standard deviation among people and scale of the mean's shift, in units of 10 mm.
SPREAD, SHIFT = 0.04, 0.5
FLIP = np.array([-1.0, 1.0, 1.0])


def skin_deformations(
    head: Vertices, normals: Vertices, spots: NDArray[np.int64], others: NDArray[np.int64]
) -> dict[str, tuple[Vertices, float, float]]:
    """Deformations by name, as `shape_deformations` gives them: 10 mm along the skin's normal over each spot and its image.

    Args:
        head, normals: float64 [N, 3], millimetres, origin between the outer eye corners, and unit vectors.
        spots: vertices of the head's left or midline.
        others: more vertices with targets of their own (landmarks), which leave less room to a bump.
    """
    placed = head[np.concatenate([spots, others])]
    all_places = np.concatenate([placed, placed[placed[:, 0] > 1.0] * FLIP])
    found: dict[str, tuple[Vertices, float, float]] = {}
    for k, place in enumerate(head[spots]):
        apart = np.sort(np.linalg.norm(all_places - place, axis=1))
        width = min(WIDTH * float(apart[1 : NEIGHBOURS + 1].mean()), WIDEST_MM)
        moved = np.zeros_like(head)
        for side in (1.0, -1.0):
            over = np.exp(-np.square((head - place * (side, 1.0, 1.0)) / width).sum(axis=1) / 2)
            # The mean normal under the bump, so that one vertex in a fold does not tilt it.
            normal = over @ normals
            moved += TEN * over[:, None] * (normal / np.linalg.norm(normal))
        if place[0] < 1.0:
            moved /= 2
        found[f"skin-{k}"] = (moved, SPREAD, SHIFT)
    return found
