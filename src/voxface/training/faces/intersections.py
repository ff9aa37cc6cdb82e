"""Self-intersections of a face's surface: lids and eyeballs, upper and lower lip, ears and skull.

Two parts of a triangle mesh intersect exactly where an edge of one crosses a triangle of the other, so every edge is
cast as a ray from one of its ends to the other (Open3D's `RaycastingScene`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.lid_and_lip_contact import lip_region, sphere, upper_lip
from voxface.training.faces.render import first_hit

Index = NDArray[np.int64]

KINDS = ("lids", "lips", "ears")
# Distance from an eyeball of the mean face within which skin can touch it, millimetres.
LID_REACH = 9.0
# Share of an edge cut off at both ends, because touching ends (as at the corners of the mouth) are no intersection.
END = 1e-3


@dataclass(frozen=True)
class PartPair:
    """Two parts of the surface that must not pass through each other, as triangles int64 [F, 3] of the model."""

    one: Index
    other: Index

    def crossings(self, vertices: NDArray[np.float32]) -> int:
        """Number of edges of either part that cross a triangle of the other, on a face float32 [N, 3]."""
        return _crossing(vertices, self.one, self.other) + _crossing(vertices, self.other, self.one)


def part_pairs(model: MorphableModel) -> dict[str, tuple[PartPair, ...]]:
    """The pairs of parts that can intersect, by kind of `KINDS`, left before right."""
    return {"lids": _lids(model), "lips": (_lips(model),), "ears": _ears(model)}


def count_crossings(model: MorphableModel, coefficients: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
    """Crossing edges int64 [S] of each of the faces with coefficients float32 [S, P], by kind.

    The pinna's many folds touch already on the mean face, so its count there is subtracted from the ears'.
    """
    pairs = part_pairs(model)
    own = sum(pair.crossings(model.mean) for pair in pairs["ears"])
    counts = {kind: np.zeros(len(coefficients), np.int64) for kind in KINDS}
    for row, face in enumerate(coefficients):
        vertices = model.vertices(face)
        for kind in KINDS:
            counts[kind][row] = sum(pair.crossings(vertices) for pair in pairs[kind])
    counts["ears"] = np.maximum(counts["ears"] - own, 0)
    return counts


def clip_coefficients(coefficients: NDArray[np.float32], limit: float = 2.5) -> NDArray[np.float32]:
    """Coefficients float32 [S, P] clipped to `limit` standard deviations from the mean."""
    return np.clip(coefficients, -limit, limit)


def eyeball_depth(model: MorphableModel, vertices: NDArray[np.float32]) -> float:
    """Largest depth of a lid vertex inside an eyeball, millimetres; negative is a gap."""
    deepest = -np.inf
    for lid, eye in _lid_vertices(model):
        centre, radius = sphere(vertices[eye].astype(np.float64))
        deepest = max(deepest, float((radius - np.linalg.norm(vertices[lid] - centre, axis=1)).max()))
    return deepest


def _lid_vertices(model: MorphableModel) -> list[tuple[Index, Index]]:
    eyes = model.parts == PARTS.index("eyes")
    found = []
    for side in (1.0, -1.0):
        eye = np.nonzero(eyes & (model.mean[:, 0] * side > 0))[0]
        centre, radius = sphere(model.mean[eye].astype(np.float64))
        near = np.linalg.norm(model.mean - centre, axis=1) < radius + LID_REACH
        found.append((np.nonzero(near & ~eyes)[0], eye))
    return found


def _lids(model: MorphableModel) -> tuple[PartPair, ...]:
    return tuple(PartPair(_within(model, lid), _within(model, eye)) for lid, eye in _lid_vertices(model))


def _lips(model: MorphableModel) -> PartPair:
    """Both lips with the skin round them; a vertex belongs to the lip whose middle is nearer along edges."""
    mean = model.mean.astype(np.float64)
    near = lip_region(mean, model.landmarks)
    upper = upper_lip(model.triangles, near, model.landmarks)
    parts = (np.nonzero(part)[0] for part in (near & upper, near & ~upper))
    return PartPair(*(_within(model, part) for part in parts))


def _ears(model: MorphableModel) -> tuple[PartPair, ...]:
    paths = model.measurements
    mastoid, helix = paths["ear_protrusion"]
    marks = model.mean[[*paths["ear_length"], *paths["ear_breadth"], helix]]
    low, high = marks.min(axis=0), marks.max(axis=0)
    found = []
    for side in (1.0, -1.0):
        place = model.mean * np.array([side, 1.0, 1.0], np.float32)
        in_box = (place[:, 1:] > low[1:] - 3).all(axis=1) & (place[:, 1:] < high[1:] + 3).all(axis=1)
        ear = in_box & (place[:, 0] > model.mean[mastoid, 0] + 2.5)
        round_it = (place[:, 1:] > low[1:] - 25).all(axis=1) & (place[:, 1:] < high[1:] + 25).all(axis=1)
        skull = round_it & ~ear & (place[:, 0] > 20)
        found.append(PartPair(_within(model, np.nonzero(ear)[0]), _within(model, np.nonzero(skull)[0])))
    return tuple(found)


def _within(model: MorphableModel, vertices: Index) -> Index:
    """Triangles whose corners are all among `vertices`."""
    among = np.zeros(len(model.mean), bool)
    among[vertices] = True
    return model.triangles[among[model.triangles].all(axis=1)].astype(np.int64)


def _crossing(vertices: NDArray[np.float32], edges_of: Index, triangles: Index) -> int:
    if not len(edges_of) or not len(triangles):
        return 0
    edges = np.sort(np.concatenate([edges_of[:, [0, 1]], edges_of[:, [1, 2]], edges_of[:, [2, 0]]]), axis=1)
    edges = np.unique(edges, axis=0)
    start, end = (vertices[edges[:, k]].astype(np.float64) for k in range(2))
    along = end - start
    used, corners = np.unique(triangles, return_inverse=True)
    hit = first_hit(vertices[used], corners.reshape(-1, 3).astype(np.int32), start + END * along, along)
    return int((hit < 1 - 2 * END).sum())
