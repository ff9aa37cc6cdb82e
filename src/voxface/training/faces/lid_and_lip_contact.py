"""Contact of parts that must not pass through each other: lids that slide on round eyeballs, and lips that meet.

A morphable model is linear, so every mode has to keep the contact. Lids keep it if eyeballs only shift and swell and no mode
moves the lids along the eyeball's radius, because a tangential displacement leads off a sphere and never into it. Lips keep
it if both move by the same amount where they meet.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.surface import Vertices

Weights = NDArray[np.float64]
FLIP = np.array([-1.0, 1.0, 1.0])

# Gap between lids and eyeball in millimetres, larger than the sagitta of the lids' longest edges over the sphere.
LID_GAP = 0.4
# Skin nearer to the eyeball than the first distance (mm) only slides on it; skin further off than the second is free.
LID_SLIDES, LID_FREE = 2.5, 8.0
# Weights, against one for all lids together, of the eyeball's place and size as the modifier gives them.
KEEP_PLACE, KEEP_SIZE = 0.05, 0.5
# Within the first distance (mm) of their slit the lips move as one; beyond the second each is free.
LIPS_MEET, LIPS_FREE = 1.8, 7.0


class LidContact:
    """Contact of lids and eyeballs of a head float64 [N, 3]; the right side is the mirror image of the left.

    Attributes:
        eyeball: int64 [E], vertices of the left eyeball.
        centre, radius: of the left eyeball, millimetres.
        lids: int64 [L], vertices of the left lids and the skin round them.
    """

    def __init__(self, mesh: HeadMesh, head: Vertices) -> None:
        self._mirror = mesh.mirror
        eye = ~np.isnan(mesh.eye_angle)
        self.eyeball: NDArray[np.int64] = np.nonzero(eye & (head[:, 0] > 0))[0]
        self.centre, self.radius = sphere(head[self.eyeball])
        away = head - self.centre
        gap = np.linalg.norm(away, axis=1) - self.radius
        self.lids: NDArray[np.int64] = np.nonzero(~eye & (gap < LID_FREE) & (head[:, 0] > 0))[0]
        self._normal = _unit(away[self.lids])
        self._gap = gap[self.lids]
        self._slides = 1 - _step(self._gap, LID_SLIDES, LID_FREE)
        # Eyeballs are made exactly round, because phenotypes also deform them.
        self._round = _unit(away[self.eyeball])

    def lift_lids(self, head: Vertices) -> Vertices:
        """The head given to the constructor, with exactly round eyeballs and the lids lifted to `LID_GAP` above them."""
        over = self._gap - LID_GAP
        out = head.copy()
        out[self.eyeball] = self.centre + self.radius * self._round
        # A soft maximum, so that the lifted lids pass smoothly into the skin round them.
        out[self.lids] += ((np.sqrt(over**2 + 0.2**2) - over) / 2)[:, None] * self._normal
        return self._both(out)

    def slide_lids(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3] whose eyeballs follow the lids by shifting and swelling; the lids stay on them."""
        own = moved[self.eyeball]
        shift, swelling = own.mean(axis=0), float(np.einsum("kx,kx->k", own - own.mean(axis=0), self._round).mean())
        rows = np.concatenate([self._normal, np.ones((len(self.lids), 1))], axis=1)
        weight = self._slides / self._slides.sum()
        keep = np.diag([KEEP_PLACE, KEEP_PLACE, KEEP_PLACE, KEEP_SIZE])
        radial = np.einsum("kx,kx->k", moved[self.lids], self._normal)
        wanted = rows.T @ (weight * radial) + keep @ np.array([*shift, swelling])
        found = np.linalg.solve(rows.T @ (weight[:, None] * rows) + keep, wanted)
        return self._kept(moved, found[:3], float(found[3]))

    def hold_eyeballs(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3], such as an expression, with the eyeballs at rest and the lids kept on them."""
        return self._kept(moved, np.zeros(3), 0.0)

    def close_lids(self, moved: Vertices, head: Vertices, retreat: float) -> Vertices:
        """A blink float64 [N, 3] whose lids stay outside the eyeballs all the way, while these go back by `retreat` mm.

        Lids moving on straight lines would cut through the sphere. They are therefore pushed outwards, and the eyeball makes
        room (in a real blink it retreats by a millimetre or two).
        """
        back = np.array([0.0, 0.0, -retreat])
        out = moved.copy()
        out[self.eyeball] = back
        start = head[self.lids] - self.centre
        for _ in range(12):
            for share in np.linspace(0.1, 1.0, 10):
                at = start + share * (out[self.lids] - back)
                far = np.linalg.norm(at, axis=1)
                short = np.clip(self.radius + LID_GAP - far, 0, None) * (self._gap < LID_SLIDES)
                out[self.lids] += (0.5 * short / share / far)[:, None] * at
        return self._both(out)

    def _kept(self, moved: Vertices, shift: NDArray[np.float64], swelling: float) -> Vertices:
        out = moved.copy()
        out[self.eyeball] = shift + swelling * self._round
        off = np.einsum("kx,kx->k", moved[self.lids] - shift, self._normal) - swelling
        out[self.lids] -= (self._slides * off)[:, None] * self._normal
        return self._both(out)

    def _both(self, out: Vertices) -> Vertices:
        """`out` with the right side made the mirror image of the left."""
        left = np.concatenate([self.lids, self.eyeball])
        out[self._mirror[left]] = out[left] * FLIP
        return out


@dataclass(frozen=True)
class LipContact:
    """Contact of the lips of a head.

    Attributes:
        skin: int64 [K], vertices of both lips and the skin round them.
        shared: float64 [K, K], matrix from displacements of `skin` to those of both lips at the slit beside each vertex.
        own: float64 [K, K], the same for the vertex's own lip alone.
        meets: float64 [K] in [0, 1], 1 where the lips meet.
        follows: float64 [K] in [0, 1], how much a vertex follows the correction that its lip needs to meet the other.
    """

    skin: NDArray[np.int64]
    shared: Weights
    own: Weights
    meets: Weights
    follows: Weights

    @classmethod
    def from_head(cls, mesh: HeadMesh, head: Vertices, landmarks: NDArray[np.int32]) -> "LipContact":
        """Lip contact of `head` float64 [N, 3], whose lips are closed; `landmarks` int32 [68] in Multi-PIE order."""
        near = lip_region(head, landmarks)
        upper = upper_lip(mesh.triangles, near, landmarks)
        skin = np.nonzero(near)[0]
        x, y, z = head[skin].T
        over = np.abs(y - slit_height(head, landmarks, x))
        corner = head[landmarks[54]]
        # Beyond the corners of the mouth both lips are one piece of skin.
        inwards = 1 - _step(np.abs(x), corner[0] - 1.0, corner[0] + 4.0)
        behind = _step(z, corner[2] - 30, corner[2] - 22)
        meets = (1 - _step(over, LIPS_MEET / 2, LIPS_MEET)) * inwards * behind
        follows = (1 - _step(over, LIPS_MEET, LIPS_FREE)) * inwards * behind
        above = upper[skin]
        beside = np.exp(-(((x[:, None] - x[None, :]) / 3.0) ** 2)) * (meets + 1e-9)[None, :]
        sides = [beside * side[None, :] for side in (above, ~above)]
        sides = [side / side.sum(axis=1, keepdims=True) for side in sides]
        own = np.where(above[:, None], sides[0], sides[1])
        return cls(skin, (sides[0] + sides[1]) / 2, own, meets, follows)

    def join_lips(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3] changed so that both lips move by the same amount where they meet."""
        here = moved[self.skin]
        together, alone = self.shared @ here, self.own @ here
        here = here + self.follows[:, None] * (together - alone)
        out = moved.copy()
        out[self.skin] = (1 - self.meets[:, None]) * here + self.meets[:, None] * together
        return out


def lip_region(head: Vertices, landmarks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mask bool [N] of the lips of `head` float64 [N, 3], the rim behind them and the skin round them."""
    middle = head[landmarks[[62, 66]]].mean(axis=0)
    region: NDArray[np.bool_] = (np.abs(head - middle) < (float(head[landmarks[54], 0]) + 6.0, 16.0, 40.0)).all(axis=1)
    return region


def upper_lip(triangles: NDArray[np.int32], near: NDArray[np.bool_], landmarks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mask bool [N] of vertices in the region `near` nearer, along edges, to the upper lip's middle than the lower's."""
    upper, lower = (steps_along_edges(triangles, near, landmarks[part]) for part in (slice(61, 64), slice(65, 68)))
    above: NDArray[np.bool_] = upper < lower
    return above


def steps_along_edges(
    triangles: NDArray[np.int32], among: NDArray[np.bool_], sources: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Number of edges from each vertex to `sources`, float64 [N]; infinite outside the region `among` bool [N]."""
    inside = triangles[among[triangles].all(axis=1)]
    steps = np.full(len(among), np.inf)
    steps[sources] = 0
    while True:
        nearest = steps[inside].min(axis=1)
        further = steps.copy()
        for k in range(3):
            np.minimum.at(further, inside[:, k], nearest + 1)
        if (further == steps).all():
            return steps
        steps = further


def slit_height(head: Vertices, landmarks: NDArray[np.int32], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height y float64 [K] of the line between the lips at x float64 [K]."""
    middle = (head[landmarks[[64, 63, 62]]] + head[landmarks[[64, 65, 66]]])[:, :2] / 2
    order = np.argsort(middle[:, 0])
    height: NDArray[np.float64] = np.interp(np.abs(x), middle[order, 0], middle[order, 1])
    return height


def sphere(places: Vertices) -> tuple[NDArray[np.float64], float]:
    """Centre [3] and radius of the sphere that fits places float64 [K, 3] best."""
    middle = places.mean(axis=0)
    system = np.concatenate([2 * (places - middle), np.ones((len(places), 1))], axis=1)
    solution = np.linalg.lstsq(system, ((places - middle) ** 2).sum(axis=1), rcond=None)[0]
    return middle + solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))


def _unit(vectors: Vertices) -> Vertices:
    unit: Vertices = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _step(t: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """0 below `start`, 1 above `end`, smooth between."""
    s = np.clip((t - start) / (end - start), 0, 1)
    step: NDArray[np.float64] = s * s * (3 - 2 * s)
    return step
