"""A small software rasteriser: pictures of a mesh for reports and terminals, without a graphics card."""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.mesh import vertex_normals

Float32 = NDArray[np.float32]
Places = NDArray[np.intp]

_LIGHTS = (((0.45, 0.6, 0.8), 0.75), ((-0.8, 0.1, 0.5), 0.25))  # key and fill; direction towards the light, strength
_AMBIENT = 0.28
_INSIDE = 0.12
_FRAME_MM = 300.0
_OVERLAP = 1e-3
_FLAT = 1e-6  # square pixels
_AT_ONCE = 1 << 14  # samples painted at once: their intermediate arrays stay in the processor's cache
_GAMMA: Final = 2.2
BACKGROUND = (236, 238, 241)


class _Frame(NamedTuple):
    """The rectangle of samples that the head is in, of which alone something is computed."""

    left: int
    top: int
    width: int
    height: int


class _Plane(NamedTuple):
    """The triangles that are painted, from the farthest to the nearest, and for each float32 [F] how its barycentric weights u
    and v depend on the sample: u = u0 + ux·x + uy·y."""

    low: tuple[NDArray[np.int32], NDArray[np.int32]]  # first column and row [F] whose sample it may cover
    high: tuple[NDArray[np.int32], NDArray[np.int32]]  # and the last ones
    u: tuple[Float32, Float32, Float32]
    v: tuple[Float32, Float32, Float32]


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
    axes = np.ascontiguousarray(vertices.T)
    low, high = axes.min(1), axes.max(1)
    centre = (high + low) / 2
    turned = (vertices - centre) @ turn.T
    # One scale for all heads, so that a larger head looks larger; only a head that would not fit is drawn smaller.
    scale = side * 0.92 / max(_FRAME_MM, float((high - low).max()))
    screen = np.stack([turned[:, 0] * scale + side / 2, side / 2 - turned[:, 1] * scale, turned[:, 2]])
    picture = np.frombuffer(bytearray(BACKGROUND) * size**2, np.uint8).reshape(size, size, 3)
    if not np.isfinite(screen).all():  # with a vertex that is nowhere, a mesh has no middle, and none of it has a place
        return picture

    normals = vertex_normals(turned, triangles)
    light = np.full(len(vertices), _AMBIENT, np.float32)
    for direction, strength in _LIGHTS:
        towards = np.array(direction, np.float32)
        light += strength * np.clip(normals @ (towards / np.linalg.norm(towards)), 0, None)
    shaded = (colours.astype(np.float32) ** _GAMMA).T * light

    begin = np.clip(np.floor(screen[:2].min(1) / over), 0, size).astype(int)
    end = np.clip(np.ceil(screen[:2].max(1) / over), begin, size).astype(int)
    (left, top), (wide, tall) = begin.tolist(), (end - begin).tolist()
    frame = _Frame(left * over, top * over, wide * over, tall * over)
    image = np.empty((3, frame.width * frame.height), np.float32)
    image[:] = ((np.array(BACKGROUND, np.float32) / 255) ** _GAMMA)[:, None]
    covered = np.zeros(image.shape[1], bool)
    corners = np.ascontiguousarray(triangles.T, np.intp)
    # y points down on the screen, so a triangle seen from outside has negative area.
    area = _areas(*_places(screen, corners))
    pixels, colour = _paint(screen, shaded, corners[:, area < -_FLAT], frame)
    _put(image, pixels, colour)
    covered[pixels] = True
    # Inner sides are visible through openings only: triangles seen from within matter where no outer side covers them.
    within = corners[:, area > _FLAT]
    pixels, colour = _paint(
        screen, shaded * np.float32(_INSIDE), within[:, _over(~covered, screen, within, frame)], frame
    )
    free = ~covered[pixels]
    _put(image, pixels[free], colour[:, free])
    covered[pixels] = True

    apart = image.reshape(3, tall, over, wide, over)
    rows = apart[:, :, 0] + apart[:, :, 1]
    parts = covered.reshape(tall, over, wide, over)
    seen = parts[:, 0] | parts[:, 1]
    shown = np.flatnonzero(seen[..., 0] | seen[..., 1])
    small = (rows[..., 0] + rows[..., 1]).reshape(3, -1).take(shown, axis=1) / np.float32(over**2)
    values = np.rint(np.clip(small, 0, 1) ** (1 / _GAMMA) * 255).astype(np.uint8)
    down = shown // wide
    picture.reshape(-1, 3)[(down + top) * size + (shown - down * wide + left)] = values.T
    return picture


def _put(image: Float32, pixels: Places, colour: Float32) -> None:
    for channel, values in zip(image, colour, strict=True):
        channel[pixels] = values


def _places(screen: Float32, corners: Places) -> list[tuple[Float32, Float32]]:
    """x and y, float32 [F] each, of the three corners of triangles."""
    return [(screen[0].take(corner), screen[1].take(corner)) for corner in corners]


def _areas(a: tuple[Float32, Float32], b: tuple[Float32, Float32], c: tuple[Float32, Float32]) -> Float32:
    """Twice the areas of triangles, float32 [F], in square samples."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _box(
    places: list[tuple[Float32, Float32]], axis: int, frame: _Frame
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last column (axis 0) or row (1), int32 [F] each, whose samples a triangle may cover; last < first if none."""
    a, b, c = (place[axis] for place in places)
    first = (frame.left, frame.top)[axis]
    last = first + (frame.width, frame.height)[axis] - 1
    low = np.clip(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), first, last + 1).astype(np.int32)
    high = np.clip(np.floor(np.maximum(np.maximum(a, b), c) - 0.5), first - 1, last).astype(np.int32)
    return low, high


def _over(wanted: NDArray[np.bool_], screen: Float32, corners: Places, frame: _Frame) -> NDArray[np.bool_]:
    """Which triangles have a wanted sample, bool [height · width], in their box."""
    total = np.zeros((frame.height + 1, frame.width + 1), np.int32)
    np.cumsum(wanted.reshape(frame.height, frame.width), 0, np.int32, total[1:, 1:])
    np.cumsum(total[1:, 1:], 1, np.int32, total[1:, 1:])
    places = _places(screen, corners)
    (left, right), (top, bottom) = _box(places, 0, frame), _box(places, 1, frame)
    right, bottom = np.maximum(right + 1, left) - frame.left, np.maximum(bottom + 1, top) - frame.top
    left, top = left - frame.left, top - frame.top
    inside: NDArray[np.bool_] = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left] > 0
    return inside


def _paint(screen: Float32, shaded: Float32, corners: Places, frame: _Frame) -> tuple[Places, Float32]:
    """The covered samples, as flat indices, and the colour [3, n] of the nearest triangle at each.

    Triangles are painted from the farthest to the nearest: on a mesh of small triangles that equals a depth buffer.
    """
    a, b, c = screen[2].take(corners)
    corners = corners[:, np.argsort(a + b + c)]
    places = _places(screen, corners)
    inverse = (1 / _areas(*places)).astype(np.float32)
    (left, right), (top, bottom) = _box(places, 0, frame), _box(places, 1, frame)
    one, two, three = places
    plane = _Plane((left, top), (right, bottom), _edge(two, three, inverse), _edge(three, one, inverse))
    nearest = np.full(frame.width * frame.height, -1, np.intp)
    for which, shape in _alike(right - left + 1, bottom - top + 1):
        at, seen = _samples(plane, which, shape, frame)
        np.maximum.at(nearest, at, seen)
    pixels = np.flatnonzero(nearest >= 0)
    colour = np.empty((3, len(pixels)), np.float32)
    channels = [[channel.take(corner) for corner in corners] for channel in shaded]
    (u0, ux, uy), (v0, vx, vy) = plane.u, plane.v
    for first in range(0, len(pixels), _AT_ONCE):
        part = pixels[first : first + _AT_ONCE]
        which = nearest.take(part)
        down = part // frame.width
        x, y = (part - down * frame.width + frame.left).astype(np.float32), (down + frame.top).astype(np.float32)
        u = u0.take(which) + ux.take(which) * x + uy.take(which) * y
        v = v0.take(which) + vx.take(which) * x + vy.take(which) * y
        w = 1 - u - v
        for values, (of_one, of_two, of_three) in zip(colour, channels, strict=True):
            values[first : first + _AT_ONCE] = (
                u * of_one.take(which) + v * of_two.take(which) + w * of_three.take(which)
            )
    return pixels, colour


def _alike(width: NDArray[np.int32], height: NDArray[np.int32]) -> list[tuple[Places, tuple[int, int]]]:
    """Groups of triangles whose boxes have about one size, so that a group is computed in one piece: their numbers, and the
    height and width that holds all of their boxes. Triangles without a sample are in none."""
    steps = [2 << k for k in range(int(max(width.max(initial=1), height.max(initial=1))).bit_length())]
    sizes = np.array(steps)
    kind = np.searchsorted(sizes, height) * len(sizes) + np.searchsorted(sizes, width)
    order = np.argsort(kind, kind="stable")
    order = order[((width > 0) & (height > 0))[order]]
    kinds = kind[order]
    begins = np.flatnonzero(np.diff(kinds, prepend=-1)).tolist()
    groups: list[tuple[Places, tuple[int, int]]] = []
    for begin, end in pairwise([*begins, len(order)]):
        tall, wide = divmod(int(kinds[begin]), len(sizes))
        shape = steps[tall], steps[wide]
        count = max(1, _AT_ONCE // (shape[0] * shape[1]))
        groups += [(order[at : min(at + count, end)], shape) for at in range(begin, end, count)]
    return groups


def _samples(plane: _Plane, which: Places, shape: tuple[int, int], frame: _Frame) -> tuple[Places, Places]:
    """The samples within some triangles, as flat indices, and the triangle of each."""
    height, width = shape
    (left, top), (right, bottom) = ([side.take(which) for side in sides] for sides in (plane.low, plane.high))
    x, y = left + np.arange(width, dtype=np.int32)[:, None], top + np.arange(height, dtype=np.int32)[:, None]
    across, down = x.astype(np.float32), y.astype(np.float32)  # whole numbers times float32 would be float64
    (u0, ux, uy), (v0, vx, vy) = ([factor.take(which) for factor in factors] for factors in (plane.u, plane.v))
    along, below = u0 + ux * across, uy * down
    along[x > right], below[y > bottom] = -np.inf, -np.inf  # beyond its own box
    u = along + below[:, None]
    v = (v0 + vx * across) + (vy * down)[:, None]
    # A small overlap: rounding must not leave a pinhole between two triangles that share an edge.
    inside = u >= -_OVERLAP
    inside &= v >= -_OVERLAP
    u += v
    inside &= u <= 1 + _OVERLAP
    place = np.flatnonzero(inside)
    cell = place // len(which)
    nth = place - cell * len(which)
    first = (top.astype(np.intp) - frame.top) * frame.width + (left - frame.left)
    beside = (np.arange(height)[:, None] * frame.width + np.arange(width)).ravel()
    return first.take(nth) + beside.take(cell), which.take(nth)


def _edge(p: tuple[Float32, Float32], q: tuple[Float32, Float32], inverse: Float32) -> tuple[Float32, Float32, Float32]:
    """(p - s) × (q - s) · inverse as a function of the sample s = (x + ½, y + ½): constant, factor of x, factor of y."""
    dx, dy = (q[0] - p[0]) * inverse, (q[1] - p[1]) * inverse
    constant = (p[0] * q[1] - p[1] * q[0]) * inverse + np.float32(0.5) * (dx - dy)
    return constant.astype(np.float32), (-dy).astype(np.float32), dx.astype(np.float32)
