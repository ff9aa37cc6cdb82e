"""A scan of a real face beside a mean face: the similarity that brings it nearest, its distances, and maps of them."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.surface import Vertices, boundary_edges

REACH_MM, NEAREST, ROUNDS = 90.0, 0.9, 60
# Distance at which the colours of a map are full, and beyond which a place of the face has no counterpart.
FULL_MM, FAR_MM = 3.0, 6.0
GREY = 0.72


def regions(places: Vertices) -> dict[str, NDArray[np.bool_]]:
    """Masks bool [S] of places float64 [S, 3] on a face, origin midway between the outer eye corners."""
    across, up = np.abs(places[:, 0]), places[:, 1]
    nose = (across < 18) & (up <= -14) & (up > -56)
    mouth = (across < 32) & (up <= -56) & (up > -86)
    return {
        "forehead": up > 26,
        "eyes and brows": (up <= 26) & (up > -14),
        "nose": nose,
        "cheeks": (up <= -14) & (up > -56) & ~nose,
        "mouth": mouth,
        "chin and jaw": (up <= -56) & ~mouth,
    }


def read_scan(path: Path) -> tuple[Vertices, NDArray[np.int32], Vertices]:
    """Vertices, triangles and the 68 marks (Multi-PIE order) of a menpo3d scan: an `.obj` with its `.ljson` beside it."""
    vertices, triangles = [], []
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(entry) for entry in rest[:3]])
        elif word == "f":
            triangles.append([int(entry.split("/")[0]) - 1 for entry in rest[:3]])
    points = json.loads(path.with_suffix(".ljson").read_text())["groups"]["LJSON"]["landmarks"]["points"]
    jaw, eyes, brows_nose, mouth = range(17), range(17, 29), range(29, 48), range(48, 68)
    right_brow, nose, left_brow = brows_nose[:5], brows_nose[5:14], brows_nose[14:]
    order = [*jaw, *right_brow, *left_brow, *nose, *eyes, *mouth]
    return np.array(vertices), np.array(triangles, np.int32), np.array(points, float)[order]


class ScanFit:
    """A scan brought to a face by the similarity that minimises the distances of its nearest points (ICP).

    Args:
        mean: float32 [N, 3], the face of `model`'s topology.
        scan: float64 [S, 3].
        marks: float64 [68, 3], the scan's landmarks.

    Attributes:
        placed: float64 [S, 3], the whole scan in the face's frame.
        signed: float64 [S], distance to the face in millimetres of the scan, positive in front of it.
        face: bool [S], points within `REACH_MM` of the tip of the nose.
    """

    def __init__(self, mean: NDArray[np.float32], model: MorphableModel, scan: Vertices, marks: Vertices) -> None:
        surface = _Surface(mean, model.triangles)
        self.face: NDArray[np.bool_] = np.linalg.norm(scan - marks[30], axis=1) < REACH_MM
        near = scan[self.face]
        size, turn, shift = similarity(marks, mean[model.landmarks].astype(np.float64))
        for _ in range(ROUNDS):
            places = size * near @ turn.T + shift
            closest, *_ = surface.closest(places)
            off = np.linalg.norm(places - closest, axis=1)
            kept = off <= np.quantile(off, NEAREST)
            size, turn, shift = similarity(near[kept], closest[kept])
        self.placed: Vertices = size * scan @ turn.T + shift
        self.signed: NDArray[np.float64] = surface.signed(self.placed)[0] / size

    def summary(self) -> dict[str, Any]:
        """Median, mean and 90 % quantile of the distances, and the median of each region, mm."""
        off = np.abs(self.signed[self.face])
        parts = {name: float(np.median(off[part])) for name, part in regions(self.placed[self.face]).items()}
        return {
            "median_mm": np.median(off),
            "mean_mm": off.mean(),
            "p90_mm": np.quantile(off, 0.9),
            "median_mm_by_region": parts,
        }


class _Surface:
    def __init__(self, vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> None:
        self._open3d: Any = importlib.import_module("open3d")
        self._scene = self._open3d.t.geometry.RaycastingScene()
        tensor = self._open3d.core.Tensor
        self._scene.add_triangles(tensor(np.ascontiguousarray(vertices)), tensor(triangles.astype(np.uint32)))

    def closest(self, places: Vertices) -> tuple[Vertices, Vertices, NDArray[np.int64]]:
        """Nearest points of the surface float64 [S, 3], its normals there [S, 3] and the triangles int64 [S]."""
        answer = self._scene.compute_closest_points(self._open3d.core.Tensor(places.astype(np.float32)))
        points, normals = (answer[name].numpy().astype(np.float64) for name in ("points", "primitive_normals"))
        return points, normals, answer["primitive_ids"].numpy().astype(np.int64)

    def signed(self, places: Vertices) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances float64 [S], positive in front of the surface, and the nearest triangles int64 [S]."""
        closest, normals, nearest = self.closest(places)
        away = places - closest
        return np.linalg.norm(away, axis=1) * np.sign((away * normals).sum(axis=1)), nearest


def similarity(points: Vertices, others: Vertices) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Scale, rotation [3, 3] and shift [3] that bring points to others in least squares (Umeyama 1991)."""
    middle, other = points.mean(axis=0), others.mean(axis=0)
    here, there = points - middle, others - other
    u, s, vt = np.linalg.svd(there.T @ here)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * flip) @ vt
    size = float((s * flip).sum() / (here**2).sum())
    return size, turn, other - size * turn @ middle


def error_colours(
    face: NDArray[np.float32], placed: Vertices, triangles: NDArray[np.int32], reached: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Colours float32 [N, 3] of a face float32 [N, 3] by a scan's place: red in front of it, blue behind it, grey where none.

    Args:
        placed: float64 [S, 3], the scan in the face's frame.
        triangles: int32 [F, 3], of the scan.
        reached: bool [S], the part of the scan to compare with.
    """
    inside = triangles[reached[triangles].all(axis=1)]
    off, nearest = _Surface(placed.astype(np.float32), inside).signed(face.astype(np.float64))
    shade = np.clip(-off / FULL_MM, -1, 1)[:, None]
    red, blue, white = np.array([0.85, 0.1, 0.1]), np.array([0.1, 0.2, 0.85]), np.full(3, 0.93)
    colours = np.where(shade > 0, white + (red - white) * shade, white + (blue - white) * -shade)
    # The rim of the scan is its nearest place to all that lies beyond it.
    rim = np.isin(inside, np.unique(boundary_edges(inside.astype(np.int64)))).any(axis=1)
    there = (np.abs(off) < FAR_MM) & ~rim[nearest]
    return np.where(there[:, None], colours, GREY).astype(np.float32)
