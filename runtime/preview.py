"""Pictures of a mesh without a graphics card or a viewer: a small z-buffer, for reports and terminals."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.mesh import vertex_normals

Float32 = NDArray[np.float32]

_LIGHTS = (((0.45, 0.6, 0.8), 0.75), ((-0.8, 0.1, 0.5), 0.25))  # key and fill; direction towards the light, strength
_AMBIENT = 0.28
BACKGROUND = (236, 238, 241)


def preview(
    vertices: Float32, triangles: NDArray[np.int32], colours: Float32, *, yaw: float = 0.0, size: int = 320
) -> NDArray[np.uint8]:
    """Draws a mesh, uint8 [size, size, 3].

    Args:
        vertices: float32 [N, 3], millimetres, in the frame of design §2.
        triangles: int32 [F, 3].
        colours: float32 [N, 3] in [0, 1], sRGB.
        yaw: degrees the head turns to its left, which is the viewer's right; 0 from the front, 90 in profile.
        size: pixels a side.
    """
    over = 2  # samples a pixel, per direction
    side = size * over
    angle = np.deg2rad(yaw)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]], np.float32)
    centre = (vertices.max(0) + vertices.min(0)) / 2
    turned = (vertices - centre) @ turn.T
    scale = side * 0.92 / float(np.ptp(vertices, axis=0).max())
    screen = np.stack([turned[:, 0] * scale + side / 2, side / 2 - turned[:, 1] * scale, turned[:, 2]], 1)

    normals = vertex_normals(turned, triangles)
    light = np.full(len(vertices), _AMBIENT, np.float32)
    for direction, strength in _LIGHTS:
        towards = np.array(direction, np.float32)
        light += strength * np.clip(normals @ (towards / np.linalg.norm(towards)), 0, None)
    shaded = (colours.astype(np.float32) ** 2.2) * light[:, None]

    pixels, depth, colour = _rasterise(screen, shaded, triangles, side)
    order = np.lexsort((depth, pixels))
    nearest = order[np.append(np.diff(pixels[order]) != 0, True)] if len(order) else order
    image = np.empty((side * side, 3), np.float32)
    image[:] = (np.array(BACKGROUND, np.float32) / 255) ** 2.2
    image[pixels[nearest]] = colour[nearest]
    small = image.reshape(size, over, size, over, 3).mean((1, 3))
    picture: NDArray[np.uint8] = np.rint(np.clip(small, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return picture


def _rasterise(
    screen: Float32, shaded: Float32, triangles: NDArray[np.int32], side: int
) -> tuple[NDArray[np.int64], Float32, Float32]:
    """Every covered sample of every triangle that faces the viewer: (flat pixel index, depth, colour)."""
    corners = screen[triangles]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    facing = np.flatnonzero(area < -1e-6)  # y points down on the screen, so counter-clockwise has negative area
    low = np.clip(np.floor(corners[facing, :, :2].min(1)), 0, side - 1).astype(int)
    high = np.clip(np.ceil(corners[facing, :, :2].max(1)), 0, side - 1).astype(int)
    wide, tall = (high - low + 1).T
    count = wide * tall
    which = np.repeat(np.arange(len(facing)), count)
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    x = low[which, 0] + nth % wide[which]
    y = low[which, 1] + nth // wide[which]
    t = facing[which]
    px, py = x + 0.5, y + 0.5
    u = ((b[t, 0] - px) * (c[t, 1] - py) - (b[t, 1] - py) * (c[t, 0] - px)) / area[t]
    v = ((c[t, 0] - px) * (a[t, 1] - py) - (c[t, 1] - py) * (a[t, 0] - px)) / area[t]
    inside = (u >= 0) & (v >= 0) & (u + v <= 1)
    t, u, v = t[inside], u[inside], v[inside]
    weights = np.stack([u, v, 1 - u - v], 1).astype(np.float32)
    depth = (weights * screen[triangles[t], 2]).sum(1)
    colour = (weights[:, :, None] * shaded[triangles[t]]).sum(1)
    return y[inside].astype(np.int64) * side + x[inside], depth.astype(np.float32), colour.astype(np.float32)
