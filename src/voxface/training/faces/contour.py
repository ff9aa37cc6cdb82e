"""The jaw line in a picture: landmarks 0–16 lie on the outline of the face, which moves over the skin as the head turns.

Landmark marching (Zhu et al. 2015, "High-fidelity pose and expression normalization", §3.1): each contour landmark has a
path on the surface, from its own place forward over the cheek (or up the chin). The landmark is taken at the point of the
path that lies furthest out in the picture; on the side turned to the camera this is the landmark's own vertex.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import BundleError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.camera import Array, Pose, Projection

JAW = 17  # landmarks 0..16 are the jaw line; 8 is the chin
SUBNASALE = 33
# Length of a path inwards, as a share of the landmark's distance from the middle of the face; it reaches to the outer corner
# of the eye or to the lip.
REACH = 0.4
POINTS = 24
# Millimetres; places on a path whose heights differ by less are hardly distinguishable for a detector.
FLAT = 0.5


@dataclass(frozen=True)
class ContourPaths:
    """Paths on which the landmarks of the jaw line are seen: L points each, at even distances, the first of them the landmark.

    Attributes:
        vertices: int64 [17, L, 4], the mesh vertices round each point.
        weights: float64 [17, L, 4], the point as their weighted sum; each row sums to 1.
        outward: float64 [17, 3], unit vectors in the model's xy plane, across the jaw line and away from the face.
    """

    vertices: NDArray[np.int64]
    weights: Array
    outward: Array

    @classmethod
    def from_model(cls, model: MorphableModel, points: int = POINTS) -> Self:
        """Traces the paths on the mean face, as plane sections along z and across the jaw line, from each landmark forward.

        Raises:
            BundleError: no path can be traced from a landmark, so the model's landmarks are wrong.
        """
        mean = model.mean.astype(np.float64)
        jaw = mean[model.landmarks[:JAW]]
        middle = mean[model.landmarks[SUBNASALE]]
        surface = _Surface(mean, model.triangles)
        vertices, weights, outward = [], [], []
        for k, vertex in enumerate(model.landmarks[:JAW].tolist()):
            out = _outward(jaw, k, middle)
            path = surface.trace(vertex, out, REACH * float(out @ (jaw[k] - middle)))
            if len(path) < 2:
                raise BundleError(
                    f"morphable model {model.name}: contour landmark {k} (vertex {vertex}) lies where the surface does not "
                    "go on towards the face; check its landmarks"
                )
            at = _even(path, mean, points)
            vertices.append([[v for v, _ in point] for point in at])
            weights.append([[w for _, w in point] for point in at])
            outward.append(out)
        return cls(np.array(vertices), np.array(weights), np.array(outward))

    def blend(self, model: MorphableModel) -> tuple[Array, Array]:
        """The points on the mean face float64 [17, L, 3], and their displacements by the modes float64 [17, L, 3, P]."""
        mean = np.einsum("klv,klvx->klx", self.weights, model.mean.astype(np.float64)[self.vertices])
        basis = np.zeros((*mean.shape, model.modes))
        for p in range(model.modes):
            basis[..., p] = np.einsum("klv,klvx->klx", self.weights, model.basis[p].astype(np.float64)[self.vertices])
        return mean, basis

    def outline(self, projection: Projection, pose: Pose, paths: Array) -> "Outline":
        """The outline's place on each path of B faces.

        A parabola through the furthest point and its neighbours gives the place between points, so that it moves smoothly with
        shape and pose.

        Args:
            paths: float64 [B, 17, L, 3], the paths' points in the model's frame.
        """
        count, jaw, length, _ = paths.shape
        image = projection.project(pose, paths.reshape(count, -1, 3)).reshape(count, jaw, length, -1)
        out = (self.outward @ pose.rotation.transpose(0, 2, 1))[..., :2] * np.array([1.0, -1.0])
        out /= np.maximum(np.linalg.norm(out, axis=2, keepdims=True), 1e-9)
        x, y = image[..., 0], image[..., 1]
        height = x * out[..., None, 0] + y * out[..., None, 1]
        best = height.argmax(axis=2)
        middle = np.clip(best, 1, length - 2)
        faces, landmarks = np.arange(count)[:, None], np.arange(jaw)
        before, here, after = (height[faces, landmarks, middle + d] for d in (-1, 0, 1))
        bend = before - 2 * here + after
        curved = bend < 0
        offset = np.where(curved, 0.5 * (before - after) / np.where(curved, bend, -1), best - middle)
        place = np.clip(middle + np.clip(offset, -1, 1), 0, length - 1)
        share = np.exp((height - height[faces, landmarks, best][..., None]) / (FLAT * pose.scale)[:, None, None])
        share /= share.sum(axis=2, keepdims=True)
        along = y * out[..., None, 0] - x * out[..., None, 1]
        along -= along[faces, landmarks, best][..., None]
        slide = np.sqrt(np.maximum((share * along**2).sum(axis=2) - (share * along).sum(axis=2) ** 2, 0))
        return Outline(place, out, slide)


@dataclass(frozen=True)
class Outline:
    """The jaw lines of B faces in the picture.

    Attributes:
        place: float64 [B, 17], in points of the path from the landmark.
        out: float64 [B, 17, 2], unit vectors in the picture, across the outline and away from the face.
        slide: float64 [B, 17], pixels; uncertainty of the landmark along the outline, large where the path runs along it. It
            is the standard deviation over the places whose heights are within about `FLAT` of the furthest.
    """

    place: Array
    out: Array
    slide: Array


def _outward(jaw: Array, k: int, middle: Array) -> Array:
    """Unit vector [3] in the xy plane across the jaw line at landmark k, away from the middle of the face."""
    along = (jaw[min(k + 1, JAW - 1)] - jaw[max(k - 1, 0)])[:2]
    across = np.array([along[1], -along[0], 0.0]) / max(float(np.linalg.norm(along)), 1e-9)
    out: Array = across * np.sign(across @ (jaw[k] - middle))
    return out


Point = list[tuple[int, float]]


class _Surface:
    """A surface's triangles, with the neighbours needed to follow a plane's section through them."""

    def __init__(self, vertices: Array, triangles: NDArray[np.int32]) -> None:
        self._vertices, self._triangles = vertices, triangles.astype(np.int64)
        self._of_edge: dict[tuple[int, int], list[int]] = {}
        self._of_vertex: dict[int, list[int]] = {}
        for t, corners in enumerate(self._triangles.tolist()):
            for v in corners:
                self._of_vertex.setdefault(v, []).append(t)
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
                self._of_edge.setdefault((min(a, b), max(a, b)), []).append(t)

    def trace(self, start: int, out: Array, depth: float) -> list[Point]:
        """The section from a vertex forward (to larger z, then inwards) in the plane of z and `out`, up to `depth` mm inwards.

        Returns points as weighted vertices: the start, then the crossings of edges.
        """
        origin = self._vertices[start]
        side = np.array([-out[1], out[0], 0.0])
        # The plane lies a micrometre beside the vertex, so it passes through no vertex and cuts triangles at two edges.
        height = (self._vertices - origin) @ side - 1e-6
        inwards = (origin - self._vertices) @ out
        path: list[Point] = [[(start, 1.0)]]
        # A cut through the vertex leaves its triangles by the edges opposite to it.
        around = self._of_vertex.get(start, [])
        options = [(edge, t) for t in around for edge in self._cut(t, height) if start not in edge]
        if not options:
            return path
        edge, triangle = max(options, key=lambda option: self._forward(option[0], height, origin, out))
        while True:
            point = self._crossing(edge, height)
            path.append(point)
            if sum(w * inwards[v] for v, w in point) > depth or len(path) > 4000:
                return path
            onward = [t for t in self._of_edge[edge] if t != triangle]
            if not onward:
                return path  # a border of the surface
            triangle = onward[0]
            edge = next(e for e in self._cut(triangle, height) if e != edge)
            if edge[0] == start or edge[1] == start:
                return path  # once round

    def _cut(self, triangle: int, height: Array) -> list[tuple[int, int]]:
        """The two edges of a triangle that the plane crosses, or none."""
        a, b, c = self._triangles[triangle].tolist()
        pairs = ((a, b), (b, c), (c, a))
        return [(min(p, q), max(p, q)) for p, q in pairs if (height[p] > 0) != (height[q] > 0)]

    def _crossing(self, edge: tuple[int, int], height: Array) -> Point:
        a, b = edge
        share = float(height[a] / (height[a] - height[b]))
        return [(a, 1 - share), (b, share)]

    def _forward(self, edge: tuple[int, int], height: Array, origin: Array, out: Array) -> float:
        """Rank of an edge by how far forward and inwards its crossing lies from the origin."""
        place = sum(w * self._vertices[v] for v, w in self._crossing(edge, height)) - origin
        return float((place[2] - 0.5 * place @ out) / max(float(np.linalg.norm(place)), 1e-9))


def _even(path: Sequence[Point], vertices: Array, count: int) -> list[Point]:
    """`count` points at even distances along a polyline, each of at most four vertices."""
    places = np.array([sum(w * vertices[v] for v, w in point) for point in path])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))])
    points: list[Point] = []
    for at in np.linspace(0.0, along[-1], count):
        i = min(int(np.searchsorted(along, at, side="right")) - 1, len(path) - 2)
        share = float((at - along[i]) / max(along[i + 1] - along[i], 1e-12))
        blended: dict[int, float] = {}
        for part, weight in ((path[i], 1 - share), (path[i + 1], share)):
            for v, w in part:
                blended[v] = blended.get(v, 0.0) + w * weight
        row = list(blended.items())
        points.append(row + [(row[0][0], 0.0)] * (4 - len(row)))
    return points
