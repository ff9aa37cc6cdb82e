"""Region errors: each region of a predicted face is fitted to the true face by ICP, and what is left is measured.

Iterative closest points with point-to-plane distances (Chen and Medioni 1992): the prediction's region may move and turn, and
its points slide along the true surface. Wu 2022 (§4) leaves its region-based metric to a supplement that is not known here, so
the regions are ours: the vertices round the landmarks of the jaw, brows, nose, eyes and mouth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.evaluation.geometry.face_scores import rigid

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
REGIONS: Final[Mapping[str, range]] = {
    "eyes": range(36, 48),
    "nose": range(27, 36),
    "mouth": range(48, 68),
    "brows": range(17, 27),
    "jaw": range(17),
}
"""Landmarks (Multi-PIE order) of each region."""
_REACH_MM: Final = 20.0  # of a region, from its landmarks on the mean face
_SLIDE_MM: Final = 15.0  # how far beyond it the true surface is looked for
_LEAST: Final = 12  # vertices of a region
_MOST: Final = 200  # points of a region that are measured
_ROUNDS: Final = 30
_STILL: Final = 1e-3  # mm and 1/100 rad
_CANDIDATES: Final = 32  # surface points that are remembered for each point


@dataclass(frozen=True)
class Regions:
    """The regions of a morphable model.

    Attributes:
        points: by region: the vertices int64 that are measured.
        surface: by region: the vertices int64 of the true face that they are compared with.
    """

    points: Mapping[str, NDArray[np.int64]]
    surface: Mapping[str, NDArray[np.int64]]
    model: MorphableModel

    @classmethod
    def of(cls, model: MorphableModel) -> "Regions":
        """Regions of the skin, lips and brows of the mean face, each vertex in that of its nearest landmark."""
        skin = np.flatnonzero(np.isin(model.parts, [PARTS.index(part) for part in ("skin", "lips", "brows")]))
        marks = model.mean[model.landmarks].astype(np.float64)
        apart = np.linalg.norm(model.mean[skin].astype(np.float64)[:, None] - marks, axis=2)
        nearest, far = apart.argmin(1), apart.min(1)
        points, surface = {}, {}
        for name, own in REGIONS.items():
            inside = skin[np.isin(nearest, own) & (far < _REACH_MM)]
            if len(inside) < _LEAST:
                continue
            points[name] = inside[:: -(-len(inside) // _MOST)]
            surface[name] = skin[apart[:, list(own)].min(1) < _REACH_MM + _SLIDE_MM]
        return cls(points, surface, model)

    def truth(self, vertices: Float32) -> "TrueFace":
        """A true face float32 [N, 3] in mm, for comparisons."""
        return TrueFace(self, vertices)


@dataclass(frozen=True)
class TrueFace:
    """A true face, with which predicted ones are compared."""

    regions: Regions
    vertices: Float32

    @cached_property
    def _normals(self) -> Float64:
        return vertex_normals(self.vertices, self.regions.model.triangles).astype(np.float64)

    def errors(self, predicted: Float32) -> dict[str, float]:
        """Mean point-to-plane distance of each region of a predicted mesh float32 [N, 3], in mm, after ICP."""
        found = {}
        for name, points in self.regions.points.items():
            near = self.regions.surface[name]
            there, mine = self.vertices[near].astype(np.float64), predicted[points].astype(np.float64)
            turn, shift = rigid(mine[None], self.vertices[points].astype(np.float64)[None])
            found[name] = left_over(mine @ turn[0].T + shift[0], there, self._normals[near])
        return found


def left_over(points: Float64, surface: Float64, normals: Float64) -> float:
    """Mean distance |n·(p − q)| of points [K, 3] from the planes of their nearest surface points q [M, 3], after ICP.

    The best of all rounds is taken: where a round finds other neighbours, a step can lead away again.
    """
    best, find = np.inf, NearestPoints(surface)
    for _ in range(_ROUNDS):
        nearest = find(points)
        n, q = normals[nearest], surface[nearest]
        off = ((points - q) * n).sum(1)
        best = min(best, float(np.abs(off).mean()))
        middle = points.mean(0)
        # n·(p + ω × (p − m) + t − q) = 0, linear in the turn ω and the shift t; lever arms in units of 100 mm
        slopes = np.concatenate([np.cross(points - middle, n) / 100, n], axis=1)
        step = np.linalg.lstsq(slopes, -off, rcond=1e-9)[0]
        points = (points - middle) @ _turn(step[:3] / 100).T + middle + step[3:]
        if np.abs(step).max() < _STILL:
            break
    return best


class NearestPoints:
    """The nearest of surface points [M, 3] to points that move a little from call to call; exact."""

    def __init__(self, surface: Float64) -> None:
        self._surface = surface
        self._squares = np.square(surface).sum(1)
        self._from: Float64 | None = None  # where points were when all of the surface was searched
        self._candidates = np.empty((0, 0), np.int64)
        self._reach = np.empty(0)  # within which a point's candidates are all that there is

    def __call__(self, points: Float64) -> NDArray[np.int64]:
        """Numbers int64 [K] of the surface points nearest to points [K, 3], the same ones at each call."""
        rows = np.arange(len(points))
        if self._from is not None:
            apart = np.linalg.norm(self._surface[self._candidates] - points[:, None], axis=2)
            which = apart.argmin(1)
            # What is no candidate was farther away than `reach`, and a point has come no nearer to it than it has moved.
            moved = np.linalg.norm(points - self._from, axis=1)
            if (apart[rows, which] + moved <= self._reach).all():
                return np.asarray(self._candidates[rows, which], np.int64)
        squares = self._squares - 2 * points @ self._surface.T + np.square(points).sum(1)[:, None]
        count = min(_CANDIDATES, len(self._surface))
        self._candidates = np.argpartition(squares, count - 1, axis=1)[:, :count]
        kept = np.take_along_axis(squares, self._candidates, 1)
        self._from = points
        self._reach = (
            np.full(len(points), np.inf) if count == len(self._surface) else np.sqrt(kept.max(1).clip(0)) - 1e-6
        )
        return np.asarray(self._candidates[rows, kept.argmin(1)], np.int64)


def _turn(about: Float64) -> Float64:
    """Rotation [3, 3] by |about| radians about an axis (Rodrigues)."""
    angle = float(np.linalg.norm(about))
    if angle < 1e-15:
        return np.eye(3)
    x, y, z = about / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Float64 = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn
