"""A preview beside a picture of the same mesh that is made triangle by triangle, sample by sample."""

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.rasteriser import BACKGROUND, preview

MODEL = sphere()


def _one_by_one(vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray, yaw: float, size: int) -> np.ndarray:
    """The mesh as `preview` describes it, in plain loops and double precision, each sample the nearest triangle's."""
    side, angle = 2 * size, np.deg2rad(yaw)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = ((vertices - (vertices.max(0) + vertices.min(0)) / 2) @ turn.T).astype(np.float32)
    scale = side * 0.92 / max(300.0, float(np.ptp(vertices, axis=0).max()))
    screen = np.stack([turned[:, 0] * scale + side / 2, side / 2 - turned[:, 1] * scale, turned[:, 2]], 1)
    normals, light = vertex_normals(turned, triangles), np.full(len(vertices), 0.28)
    for towards, strength in (((0.45, 0.6, 0.8), 0.75), ((-0.8, 0.1, 0.5), 0.25)):
        light += strength * np.clip(normals @ (np.array(towards) / np.linalg.norm(towards)), 0, None)
    shaded = colours**2.2 * light[:, None]
    image = np.tile((np.array(BACKGROUND) / 255) ** 2.2, (side, side, 1))
    outer = np.zeros((side, side), bool)
    for inside_out in (False, True):
        depth = np.full((side, side), -np.inf)
        for triangle in triangles:
            a, b, c = screen[triangle, :2]
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if (area > 0) != inside_out or abs(area) < 1e-6:
                continue
            low = np.maximum(np.ceil(screen[triangle, :2].min(0) - 0.5), 0).astype(int)
            high = np.minimum(np.floor(screen[triangle, :2].max(0) - 0.5), side - 1).astype(int)
            for y in range(low[1], high[1] + 1):
                for x in range(low[0], high[0] + 1):
                    s = np.array([x + 0.5, y + 0.5])
                    u = ((b - s)[0] * (c - s)[1] - (b - s)[1] * (c - s)[0]) / area
                    v = ((c - s)[0] * (a - s)[1] - (c - s)[1] * (a - s)[0]) / area
                    far = screen[triangle, 2].sum()
                    if min(u, v, 1 - u - v) >= -1e-3 and far >= depth[y, x] and not (inside_out and outer[y, x]):
                        depth[y, x] = far
                        colour = np.array([u, v, 1 - u - v]) @ shaded[triangle]
                        image[y, x] = colour * 0.12 if inside_out else colour
        outer |= depth > -np.inf
    small = image.reshape(size, 2, size, 2, 3).mean((1, 3))
    return np.rint(np.clip(small, 0, 1) ** (1 / 2.2) * 255).astype(int)


@pytest.mark.parametrize("yaw", [0.0, 130.0])
@pytest.mark.parametrize("opened", [False, True])
def test_a_preview_is_the_picture_made_one_by_one(yaw: float, opened: bool) -> None:
    size = 24
    triangles = MODEL.triangles[MODEL.mean[MODEL.triangles].mean(1)[:, 2] < 40] if opened else MODEL.triangles
    colours = np.random.default_rng(1).random((len(MODEL.mean), 3)).astype(np.float32)
    picture = preview(MODEL.mean, triangles, colours, yaw=yaw, size=size).astype(int)
    wanted = _one_by_one(MODEL.mean, triangles, colours, yaw, size)
    off = np.abs(picture - wanted).max(2)
    # A sample on an edge may go to either triangle.
    assert (off > 1).mean() < 0.01
    assert (wanted != BACKGROUND).any(2).sum() > 100


def test_large_and_small_triangles_in_one_picture() -> None:
    """A triangle over the whole picture and a small one in front of it."""
    vertices = np.array(
        [[-150, -150, 0], [150, -150, 0], [0, 150, 0], [-20, -20, 20], [20, -20, 20], [0, 20, 20]], np.float32
    )
    triangles = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    colours = np.repeat(np.array([[1, 0, 0], [0, 0, 1]], np.float32), 3, axis=0)
    picture = preview(vertices, triangles, colours, size=96).astype(int)
    blue, red = picture[..., 2] - picture[..., 0] > 60, picture[..., 0] - picture[..., 2] > 60
    assert blue[47:51, 47:49].all()
    assert red.sum() > 1000
    assert red[60, 48]


def test_nothing_to_draw_is_the_background() -> None:
    picture = preview(MODEL.mean, np.empty((0, 3), np.int32), MODEL.albedo, size=20)
    np.testing.assert_array_equal(picture, np.broadcast_to(np.uint8(BACKGROUND), (20, 20, 3)))


@pytest.mark.parametrize("nowhere", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_vertex_that_is_nowhere_leaves_the_background(nowhere: float) -> None:
    vertices = MODEL.mean.copy()
    vertices[5, 1] = nowhere
    picture = preview(vertices, MODEL.triangles, MODEL.albedo, size=20)
    np.testing.assert_array_equal(picture, np.broadcast_to(np.uint8(BACKGROUND), (20, 20, 3)))
