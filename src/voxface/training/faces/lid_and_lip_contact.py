"""Parts of a face that touch and must not pass through each other: lids that slide on round eyeballs, lips that meet.

A morphable model is linear, so contact has to be kept by every mode. Lids keep it when no mode moves them along the
radius of an eyeball that itself only shifts and swells: what is tangential to a sphere leads off it, never in. Lips
keep it when, where they meet, both move by the same amount.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.surface import Vertices

Weights = NDArray[np.float64]
FLIP = np.array([-1.0, 1.0, 1.0])

# Millimetres between lids and eyeball: more than a chord of the lids' longest edges dips below the sphere they span.
LID_GAP = 0.4
# Skin nearer to the eyeball than the first only slides on it; skin further off than the second is free.
LID_SLIDES, LID_FREE = 2.5, 8.0
# How much it counts, against one lid vertex, that an eyeball goes where the modifier put it and keeps its size.
KEEP_PLACE, KEEP_SIZE = 0.05, 0.5
# Where lips meet, within the first distance of their slit, they move as one; beyond the second each is free.
LIPS_MEET, LIPS_FREE = 2.2, 7.0


class EyeContact:
    """Lids and eyeballs of a head float64 [N, 3]; the left side is worked out, the right one is its mirror image."""

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
        # What phenotypes do to an eyeball beside shifting and swelling it makes it egg-shaped.
        self._round = _unit(away[self.eyeball])

    def lifted(self, head: Vertices) -> Vertices:
        """The head this was made of, with eyeballs exactly round and what lay inside them lifted `LID_GAP` off."""
        over = self._gap - LID_GAP
        out = head.copy()
        out[self.eyeball] = self.centre + self.radius * self._round
        # A soft maximum: lids near the eyeball bend up to it instead of breaking off.
        out[self.lids] += ((np.sqrt(over**2 + 0.2**2) - over) / 2)[:, None] * self._normal
        return self._both(out)

    def sliding(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3] with the eyeballs shifted and swollen after their lids, and these kept on them."""
        own = moved[self.eyeball]
        shift, swelling = own.mean(axis=0), float(np.einsum("kx,kx->k", own - own.mean(axis=0), self._round).mean())
        rows = np.concatenate([self._normal, np.ones((len(self.lids), 1))], axis=1)
        weight = self._slides / self._slides.sum()
        keep = np.diag([KEEP_PLACE, KEEP_PLACE, KEEP_PLACE, KEEP_SIZE])
        radial = np.einsum("kx,kx->k", moved[self.lids], self._normal)
        wanted = rows.T @ (weight * radial) + keep @ np.array([*shift, swelling])
        found = np.linalg.solve(rows.T @ (weight[:, None] * rows) + keep, wanted)
        return self._kept(moved, found[:3], float(found[3]))

    def still(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3], as of an expression, with the eyeballs at rest and the lids kept on them."""
        return self._kept(moved, np.zeros(3), 0.0)

    def closing(self, moved: Vertices, head: Vertices, retreat: float) -> Vertices:
        """A blink float64 [N, 3] whose lids pass over the eyeballs all the way, while these go back by `retreat` mm.

        On a straight way over a sphere the lids would cut through it, so they swing out, and the eyeball makes room (in a
        real blink it retreats by a millimetre or two).
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
    """The lips of a head.

    Attributes:
        skin: int64 [K], vertices of both lips and the skin round them.
        shared: float64 [K, K], from displacements of `skin` to those of the slit beside each.
        own: float64 [K, K], to those of the slit's side that a vertex is on.
        meets: float64 [K] in [0, 1], 1 where the lips meet.
        follows: float64 [K] in [0, 1], how far a vertex goes along with what its lip does to meet the other.
    """

    skin: NDArray[np.int64]
    shared: Weights
    own: Weights
    meets: Weights
    follows: Weights

    @classmethod
    def of(cls, mesh: HeadMesh, head: Vertices, landmarks: NDArray[np.int32]) -> "LipContact":
        """The contact of `head` float64 [N, 3], whose lips are closed."""
        near = lip_region(head, landmarks)
        upper = upper_lip(mesh.triangles, near, landmarks)
        skin = np.nonzero(near)[0]
        x, y, z = head[skin].T
        over = np.abs(y - slit_height(head, landmarks, x))
        corner = head[landmarks[54]]
        # Towards the corners both lips are one skin anyhow.
        inwards = 1 - _step(np.abs(x), corner[0] - 1.0, corner[0] + 4.0)
        behind = _step(z, corner[2] - 30, corner[2] - 22)
        meets = (1 - _step(over, LIPS_MEET / 2, LIPS_MEET)) * inwards * behind
        follows = (1 - _step(over, LIPS_MEET, LIPS_FREE)) * inwards * behind
        above = upper[skin]
        beside = np.exp(-(((x[:, None] - x[None, :]) / 1.6) ** 2)) * (meets + 1e-9)[None, :]
        sides = [beside * side[None, :] for side in (above, ~above)]
        sides = [side / side.sum(axis=1, keepdims=True) for side in sides]
        own = np.where(above[:, None], sides[0], sides[1])
        return cls(skin, (sides[0] + sides[1]) / 2, own, meets, follows)

    def meeting(self, moved: Vertices) -> Vertices:
        """A displacement float64 [N, 3] whose lips, where they meet, move by the same amount."""
        here = moved[self.skin]
        together, alone = self.shared @ here, self.own @ here
        here = here + self.follows[:, None] * (together - alone)
        out = moved.copy()
        out[self.skin] = (1 - self.meets[:, None]) * here + self.meets[:, None] * together
        return out


def lip_region(head: Vertices, landmarks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which vertices bool [N] of `head` float64 [N, 3] are lips, the rim behind them, or skin round them."""
    middle = head[landmarks[[62, 66]]].mean(axis=0)
    region: NDArray[np.bool_] = (np.abs(head - middle) < (float(head[landmarks[54], 0]) + 6.0, 16.0, 40.0)).all(axis=1)
    return region


def upper_lip(triangles: NDArray[np.int32], near: NDArray[np.bool_], landmarks: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which vertices bool [N] of the region `near` hang nearer, along edges, to the upper lip's middle than to the lower's."""
    upper, lower = (steps_along_edges(triangles, near, landmarks[part]) for part in (slice(61, 64), slice(65, 68)))
    above: NDArray[np.bool_] = upper < lower
    return above


def steps_along_edges(
    triangles: NDArray[np.int32], among: NDArray[np.bool_], sources: NDArray[np.int32]
) -> NDArray[np.float64]:
    """How many edges away from `sources` each vertex is, float64 [N]; infinite outside the region bool [N]."""
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
