"""Ratios of the ARE metric (Wu 2022, §4.2): distances between point pairs over the outer-interocular distance.

Two sets of pairs are reported side by side: `paper`, the vertices that the paper's code uses on its 53,215-vertex BFM, and
`anatomical`, which every model with 68 landmarks has. The paper's outer-interocular pair ends 17 mm beside the left outer
canthus, so its ratios are smaller than anatomical ones of the same face.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Pairs = Mapping[str, tuple[int, int]]

REFERENCE = "outer_interocular"
PAPER = "paper_"  # prefix of the names of the paper's pairs where a model carries both sets
PAPER_VERTICES = 53_215
PAPER_PAIRS = {
    REFERENCE: (2217, 14607),
    "forehead": (1678, 42117),
    "cheek": (2294, 13635),
    "ear": (20636, 34153),
    "midline": (2130, 15003),
}
PAPER_MEAN_FACE = {"forehead": 1.1594, "cheek": 1.0044, "ear": 1.4108, "midline": 1.1104}

# Landmarks (Multi-PIE order) used for the anatomical points: the contour's upper ends lie before the ears, the outer
# ends of the brows near the frontotemporalia, the contour's second points below the zygia; midline: sellion to menton.
ANATOMICAL = {REFERENCE: (36, 45), "ear": (0, 16), "forehead": (17, 26), "midline": (27, 8), "cheek": (1, 15)}


def anatomical_pairs(landmarks: NDArray[np.int32]) -> dict[str, tuple[int, int]]:
    """The `anatomical` pairs of a mesh with landmarks int32 [68] in Multi-PIE order."""
    return {name: (int(landmarks[a]), int(landmarks[b])) for name, (a, b) in ANATOMICAL.items()}


def variants(pairs: Pairs) -> dict[str, dict[str, tuple[int, int]]]:
    """A model's pairs by set: "anatomical", and "paper" where the model has them."""
    sets = {
        "anatomical": {name: pair for name, pair in pairs.items() if not name.startswith(PAPER)},
        "paper": {name.removeprefix(PAPER): pair for name, pair in pairs.items() if name.startswith(PAPER)},
    }
    return {name: found for name, found in sets.items() if found}


def are_ratios(vertices: NDArray[np.float32], pairs: Pairs) -> dict[str, float]:
    """Ratio of each pair's distance to the outer-interocular distance; that pair itself is left out.

    Args:
        vertices: float32 [N, 3], any unit.
        pairs: name -> (vertex, vertex); one of them is "outer_interocular".

    Raises:
        ValueError: no such pair, or its two points coincide.
    """
    if REFERENCE not in pairs:
        raise ValueError(f"ARE needs the pair {REFERENCE!r}; there are {', '.join(pairs) or 'none'}")
    apart = {name: float(np.linalg.norm(vertices[a] - vertices[b])) for name, (a, b) in pairs.items()}
    whole = apart.pop(REFERENCE)
    if not whole > 0:
        raise ValueError(f"the points of the pair {REFERENCE!r} coincide")
    return {name: distance / whole for name, distance in apart.items()}
