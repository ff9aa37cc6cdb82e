"""A small software rasteriser: pictures of a mesh for reports and terminals, without a graphics card."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.mesh import vertex_normals

Float32 = NDArray[np.float32]

_LIGHTS = (((0.45, 0.6, 0.8), 0.75), ((-0.8, 0.1, 0.5), 0.25))  # key and fill; direction towards the light, strength
_AMBIENT = 0.28
_INSIDE = 0.12
_FRAME_MM = 300.0
_OVERLAP = 1e-3
_FLAT = 1e-6  # square pixels
_AT_ONCE = 1 << 14  # samples painted at once: their intermediate arrays stay in the processor's cache
BACKGROUND = (236, 238, 241)


def preview(
    vertices: Float32, triangles: NDArray[np.int32], colours: Float32, *, yaw: float = 0.0, size: int = 320
) -> NDArray[np.uint8]:
    """A picture of a mesh, uint8 [size, size, 3], sRGB.

    Args:
        vertices: float32 [N, 3], millimetres: x to the subject's left, y up, z out of the face.
        triangles: int32 [F, 3].
        colours: float32 [N, 3] in [0, 1], sRGB.
        yaw: degrees by which the head turns to its left, the viewer's right; 0 is the front, 90 the profile.
        size: width and height of the picture in pixels.
    """
    over = 2  # samples a pixel, per direction
    side = size * over
    angle = np.deg2rad(yaw)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32)
    centre = (vertices.max(0) + vertices.min(0)) / 2
    turned = (vertices - centre) @ turn.T
    # One scale for all heads, so that a larger head looks larger; only a head that would not fit is drawn smaller.
    scale = side * 0.92 / max(_FRAME_MM, float(np.ptp(vertices, axis=0).max()))
    screen = np.stack([turned[:, 0] * scale + side / 2, side / 2 - turned[:, 1] * scale, turned[:, 2]], 1)

    normals = vertex_normals(turned, triangles)
    light = np.full(len(vertices), _AMBIENT, np.float32)
    for direction, strength in _LIGHTS:
        towards = np.array(direction, np.float32)
        light += strength * np.clip(normals @ (towards / np.linalg.norm(towards)), 0, None)
    shaded = (colours.astype(np.float32) ** 2.2) * light[:, None]

    image = np.tile((np.array(BACKGROUND, np.float32) / 255) ** 2.2, side * side).reshape(side * side, 3)
    # y points down on the screen, so a triangle seen from outside has negative area.
    a, b, c = (screen[triangles[:, k], :2] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    covered = np.zeros(side * side, bool)
    pixels, colour = _paint(screen, shaded, triangles[area < -_FLAT], side)
    image[pixels], covered[pixels] = colour, True
    # Inner sides are visible through openings only: triangles seen from within matter where no outer side covers them.
    within = triangles[area > _FLAT]
    pixels, colour = _paint(screen, shaded * np.float32(_INSIDE), within[_over(~covered, screen, within, side)], side)
    free = ~covered[pixels]
    image[pixels[free]] = colour[free]
    rows = image.reshape(size, over, side * 3).sum(1)
    small = sum(rows.reshape(size, size, over, 3)[:, :, k] for k in range(over)) / np.float32(over**2)
    picture: NDArray[np.uint8] = np.rint(np.clip(small, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return picture


def _box(screen: Float32, triangles: NDArray[np.int32], side: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last pixel, int32 [F, 2] each, whose centre a triangle may cover; last < first if there is none."""
    a, b, c = (screen[triangles[:, k], :2] for k in range(3))
    low = np.clip(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0, side).astype(np.int32)
    high = np.clip(np.floor(np.maximum(np.maximum(a, b), c) - 0.5), -1, side - 1).astype(np.int32)
    return low, high


def _over(wanted: NDArray[np.bool_], screen: Float32, triangles: NDArray[np.int32], side: int) -> NDArray[np.bool_]:
    """Which triangles have a wanted pixel, bool [side²], in their box."""
    total = np.zeros((side + 1, side + 1), np.int32)
    total[1:, 1:] = wanted.reshape(side, side).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    low, high = _box(screen, triangles, side)
    high = np.maximum(high + 1, low)
    (left, top), (right, bottom) = low.T, high.T
    inside: NDArray[np.bool_] = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left] > 0
    return inside


def _paint(
    screen: Float32, shaded: Float32, triangles: NDArray[np.int32], side: int
) -> tuple[NDArray[np.intp], Float32]:
    """The covered samples, as flat indices, and the colour [n, 3] of the nearest triangle at each.

    Triangles are painted from the farthest to the nearest: on a mesh of small triangles that equals a depth buffer.
    """
    triangles = triangles[np.argsort(screen[triangles, 2].sum(1))]
    a, b, c = (screen[triangles[:, k], :2] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low, high = _box(screen, triangles, side)
    extent = np.maximum(high - low + 1, 0)
    count = extent[:, 0] * extent[:, 1]
    # Barycentric weights are linear over the screen: u = u0 + ux·x + uy·y, their coefficients computed once a triangle.
    inverse = (1 / area).astype(np.float32)
    (u0, ux, uy), (v0, vx, vy) = (_edge(p, q, inverse) for p, q in ((b, c), (c, a)))
    nearest = np.full(side * side, -1, np.int32)  # triangle, and its weights there
    weights = np.empty((2, side * side), np.float32)
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    cuts = [0, *np.searchsorted(ends, np.arange(_AT_ONCE, total, _AT_ONCE)).tolist(), len(triangles)]
    for first, last in pairwise(cuts):
        held = count[first:last]
        which = np.repeat(np.arange(first, last, dtype=np.int32), held)
        nth = np.arange(len(which), dtype=np.int32) - np.repeat((np.cumsum(held) - held).astype(np.int32), held)
        wide = extent[which, 0]
        down = nth // wide
        x, y = low[which, 0] + (nth - down * wide), low[which, 1] + down
        across, downwards = x.astype(np.float32), y.astype(np.float32)  # whole numbers times float32 would be float64
        u = u0[which] + ux[which] * across + uy[which] * downwards
        v = v0[which] + vx[which] * across + vy[which] * downwards
        # A small overlap: rounding must not leave a pinhole between two triangles that share an edge.
        inside = np.flatnonzero((u >= -_OVERLAP) & (v >= -_OVERLAP) & (u + v <= 1 + _OVERLAP))
        at = y[inside] * side + x[inside]
        nearest[at] = which[inside]  # the last one written stays
        weights[0, at], weights[1, at] = u[inside], v[inside]
    pixels = np.flatnonzero(nearest >= 0)
    colour = np.empty((len(pixels), 3), np.float32)
    corners = [[np.ascontiguousarray(channel) for channel in shaded[triangles[:, k]].T] for k in range(3)]
    for first in range(0, len(pixels), _AT_ONCE):
        part = pixels[first : first + _AT_ONCE]
        which = nearest[part]
        u, v = weights[0, part], weights[1, part]
        w = 1 - u - v
        for channel in range(3):
            one, two, three = (corner[channel][which] for corner in corners)
            colour[first : first + _AT_ONCE, channel] = u * one + v * two + w * three
    return pixels, colour


def _edge(p: Float32, q: Float32, inverse: Float32) -> tuple[Float32, Float32, Float32]:
    """(p - s) × (q - s) · inverse as a function of the sample s = (x + ½, y + ½): constant, factor of x, factor of y."""
    dx, dy = (q - p).T * inverse
    constant = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) * inverse + 0.5 * (dx - dy)
    return constant.astype(np.float32), (-dy).astype(np.float32), dx.astype(np.float32)
