"""Renderer of training images and documentation: Open3D ray casting with soft light, anti-aliased, in linear light."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import ProviderError
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.png import png
from voxface.runtime.install_advice import how_to_install
from voxface.runtime.provenance.mark import DRAWN, Mark
from voxface.training.faces.appearance import Appearance

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Framing:
    """A pinhole camera in front of the face, looking along −z before it turns.

    Attributes:
        centre: point in the middle of the picture, millimetres in the model's frame; the camera turns about it.
        extent: height and width of the picture at the centre's depth, millimetres.
        distance: from the camera to the centre, millimetres.
    """

    centre: tuple[float, float, float]
    extent: float
    distance: float


# Radiance of the mouth's inside, linear RGB.
MOUTH_INSIDE = (0.012, 0.005, 0.005)
# Tight crop like VGGFace's: brow to chin, with ears and some hair.
CROP = Framing((0.0, -24.0, -40.0), 205.0, 1200.0)
# The whole head with the neck, for documentation.
PORTRAIT = Framing((0.0, -10.0, -65.0), 300.0, 1500.0)


def require_open3d() -> None:
    """Checks that pictures can be rendered.

    Raises:
        ProviderError: Open3D is not installed, or one of its shared libraries is missing.
    """
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        raise ProviderError(f"pictures of faces need Open3D ({error}); {how_to_install('viewer')}") from error


def render(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    albedo: NDArray[np.float32],
    *,
    size: int,
    view: tuple[float, float] = (0.0, 0.0),
    appearance: Appearance | None = None,
    parts: NDArray[np.uint8] | None = None,
    occlusion: NDArray[np.float32] | None = None,
    framing: Framing = CROP,
    supersample: int = 3,
) -> NDArray[np.uint8]:
    """One picture uint8 [size, size, 3], RGB.

    Args:
        vertices: float32 [N, 3], millimetres; x to the subject's left, y up, z out of the face, origin midway between the outer
            eye corners.
        triangles: int32 [F, 3], counter-clockwise seen from outside.
        albedo: float32 [N, 3], sRGB in [0, 1].
        view: (yaw, pitch) of the camera round the head in degrees: yaw > 0 shows the subject's left side, pitch > 0 the top.
        appearance: light and background; with `parts` also the colours.
        parts: uint8 [N], parts of the vertices; if given, `albedo` is repainted in the appearance's colours.
        occlusion: float32 [N] in [0, 1] from `ambient_visibility`; 1 is open to the sky.
        supersample: rays per pixel and axis.
    """
    look = appearance if appearance is not None else Appearance()
    colours = look.paint(parts, albedo) if parts is not None else albedo
    scene = _scene(vertices, triangles)
    origin, directions, turn = _rays(size * supersample, view, framing)
    rays = np.concatenate([np.broadcast_to(origin, directions.shape), directions], axis=-1).astype(np.float32)
    hit = _cast(scene, rays)
    seen = np.isfinite(hit["t_hit"])
    background = _to_linear(np.array(look.background))
    # A slight falloff towards the bottom gives the background some depth.
    shade = np.linspace(1.06, 0.88, len(seen))[:, None, None]
    picture = np.broadcast_to(background * shade, (*seen.shape, 3)).copy()

    corner = triangles[hit["primitive_ids"][seen]]
    uv = hit["primitive_uvs"][seen].astype(np.float64)
    weights = np.stack([1 - uv.sum(axis=1), uv[:, 0], uv[:, 1]], axis=1)
    normal = _unit(np.einsum("kc,kcx->kx", weights, vertex_normals(vertices, triangles)[corner]))
    colour = np.einsum("kc,kcx->kx", weights, _to_linear(colours)[corner])
    open_sky = np.einsum("kc,kc->k", weights, occlusion[corner]) if occlusion is not None else np.ones(len(corner))
    row, column = np.nonzero(seen)
    shaded = _shaded(
        _Hits(
            scene=scene,
            point=origin + directions[seen] * hit["t_hit"][seen][:, None],
            normal=normal,
            towards_camera=-directions[seen],
            colour=colour,
            open_sky=open_sky,
            spot=_spots(row, column, supersample),
            lamp_rays=max(1, round(12 / supersample**2)),
        ),
        look,
        turn,
    )

    # Through an open mouth rays meet the surface from behind; the model has no inside there, so it is drawn dark.
    a, b, c = (vertices[corner[:, k]].astype(np.float64) for k in range(3))
    behind = np.einsum("kx,kx->k", np.cross(b - a, c - a), directions[seen]) > 0
    shaded[behind] = MOUTH_INSIDE
    picture[seen] = shaded

    folded = picture.reshape(size, supersample, size, supersample, 3).mean(axis=(1, 3))
    return np.round(_to_srgb(folded) * 255).astype(np.uint8)


def render_batch(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    albedo: NDArray[np.float32],
    *,
    size: int,
    views: Sequence[tuple[float, float]] | None = None,
    appearances: Sequence[Appearance] | None = None,
    parts: NDArray[np.uint8] | None = None,
    occlusion: NDArray[np.float32] | None = None,
    framing: Framing = CROP,
    supersample: int = 3,
) -> NDArray[np.uint8]:
    """Pictures uint8 [B, size, size, 3] of meshes float32 [B, N, 3] of one topology; see `render`."""
    pictures = np.empty((len(vertices), size, size, 3), np.uint8)
    for i, mesh in enumerate(vertices):
        pictures[i] = render(
            mesh,
            triangles,
            albedo,
            size=size,
            view=views[i] if views is not None else (0.0, 0.0),
            appearance=appearances[i] if appearances is not None else None,
            parts=parts,
            occlusion=occlusion,
            framing=framing,
            supersample=supersample,
        )
    return pictures


def write_picture_sheet(
    rows: Sequence[Sequence[NDArray[np.uint8]]], path: Path, *, gap: int = 4, mark: Mark = DRAWN
) -> None:
    """Writes pictures uint8 [h, w, 3] of one size as a grid, row by row, into one PNG with the mark."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            canvas[r * (height + gap) :, c * (width + gap) :][:height, :width] = picture
    path.write_bytes(png(canvas, mark))


def ambient_visibility(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], *, directions: int = 96, reach: float = 60.0
) -> NDArray[np.float32]:
    """Ambient visibility of each vertex, float32 [N] in [0, 1]: the share of the sky not blocked within `reach` millimetres.

    It differs little between people, so that of the mean face serves for all.
    """
    normals = vertex_normals(vertices, triangles).astype(np.float64)
    return visible_fraction(vertices, triangles, vertices + 0.3 * normals, normals, directions=directions, reach=reach)


def visible_fraction(
    vertices: NDArray[np.float32],
    triangles: NDArray[np.int32],
    points: Vector,
    normals: Vector,
    *,
    directions: int = 256,
    reach: float = 60.0,
) -> NDArray[np.float32]:
    """Cosine-weighted share, float32 [K] in [0, 1], of the half-sphere over each point that the mesh leaves open.

    Args:
        points: float64 [K, 3], millimetres.
        normals: float64 [K, 3], unit vectors.
        directions: number of rays over the sphere.
        reach: length of the rays, millimetres.
    """
    # A Fibonacci sphere is even and deterministic.
    k = np.arange(directions) + 0.5
    polar, around = np.arccos(1 - 2 * k / directions), np.pi * (1 + 5**0.5) * k
    sky = np.stack([np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], axis=1)
    cosine = np.clip(normals @ sky.T, 0, None)
    rays = np.empty((len(points), directions, 6), np.float32)
    rays[..., :3], rays[..., 3:] = points[:, None], sky
    blocked = _cast(_scene(vertices, triangles), rays)["t_hit"] < reach
    total = cosine.sum(axis=1)
    return np.asarray((cosine * ~blocked).sum(axis=1) / np.where(total > 0, total, 1), dtype=np.float32)


def first_hit(
    vertices: NDArray[np.float32], triangles: NDArray[np.int32], points: Vector, directions: Vector
) -> NDArray[np.float32]:
    """Distance float32 [K] from points to the mesh along unit directions, both float64 [K, 3]; infinite past the mesh."""
    rays = np.concatenate([points, directions], axis=1).astype(np.float32)
    hits = _cast(_scene(vertices, triangles), rays)
    return np.asarray(hits["t_hit"], dtype=np.float32)


@dataclass(frozen=True)
class _Hits:
    """The K points where camera rays meet the mesh; vectors float64 [K, 3].

    Attributes:
        open_sky: float64 [K], ambient visibility.
        spot: float64 [K] in [0, 1), first sample point on the lamp.
        lamp_rays: number of sample points on the lamp.
    """

    scene: Any
    point: Vector
    normal: Vector
    towards_camera: Vector
    colour: Vector
    open_sky: Vector
    spot: Vector
    lamp_rays: int


def _shaded(hits: _Hits, look: Appearance, turn: Vector) -> Vector:
    """Linear colours [K, 3] of the points hit: hemispheric ambient, a soft key light with shadow, a fill light, gloss."""
    normal, open_sky = hits.normal, hits.open_sky[:, None]
    sky = 0.5 + 0.5 * normal @ (turn @ np.array([0.0, 1.0, 0.0]))
    ambient = (0.20 + 0.22 * sky)[:, None] * np.array([0.97, 1.0, 1.04]) * open_sky**1.2
    key = turn @ _towards(look.key_yaw, look.key_pitch)
    fill = turn @ _towards(-look.key_yaw, 5.0)
    tint = np.array([1.0 + 0.10 * look.warmth, 1.0, 1.0 - 0.12 * look.warmth])
    cosine = (normal @ key)[:, None]
    lit = _lit(hits, key)[:, None]
    # Where light only grazes, the flat triangles shade each other in teeth; the cosine dims those places enough.
    lit = 1 - (1 - lit) * np.clip((cosine - 0.02) / 0.3, 0, 1)
    # Light scatters inside skin, red furthest: the terminator wraps round more in red than in blue.
    wrap = np.array([0.30, 0.18, 0.14])
    soft = np.clip((cosine + wrap) / (1 + wrap), 0, None)
    direct = 0.78 * look.key * tint * soft * (0.25 + 0.75 * lit)
    filling = 0.20 * np.clip((normal @ fill + 0.3) / 1.3, 0, None)[:, None] * open_sky
    half = _unit(key + hits.towards_camera)
    gloss = 0.055 * np.clip(np.einsum("kx,kx->k", normal, half), 0, None)[:, None] ** 22 * lit * open_sky
    shaded: Vector = hits.colour * (ambient + direct + filling) + gloss
    return shaded


def _lit(hits: _Hits, key: Vector) -> Vector:
    """Visible share of the lamp from each point, float64 [K], by `lamp_rays` shadow rays.

    Each camera ray of a pixel samples other points of the lamp, so the mean over the pixel has soft shadow borders.
    """
    side = _unit(np.cross(key, np.array([0.31, 0.77, 0.55])))
    above = np.cross(key, side)
    start = hits.point + 1.2 * hits.normal + 0.6 * key
    lit = np.zeros(len(start))
    for k in range(hits.lamp_rays):
        spot = (hits.spot + k / hits.lamp_rays) % 1.0
        # The golden angle and the square root spread the spots evenly over a round lamp.
        angle, radius = 2 * np.pi * 0.618034 * 64 * spot, 0.16 * np.sqrt(spot)
        lamp = _unit(key + radius[:, None] * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * above))
        lit += _cast(hits.scene, np.concatenate([start, lamp], axis=1).astype(np.float32))["t_hit"] > 400.0
    return lit / hits.lamp_rays


def _spots(row: NDArray[np.int64], column: NDArray[np.int64], supersample: int) -> Vector:
    """First sample points on the lamp, float64 [K] in [0, 1): even over the rays of a pixel, different between neighbours."""
    own = ((row % supersample) * supersample + column % supersample + 0.5) / supersample**2
    pixel = (row // supersample * 12.9898 + column // supersample * 78.233) % (2 * np.pi)
    spots: Vector = (own + np.sin(pixel) * 43758.5453) % 1.0
    return spots


def _rays(pixels: int, view: tuple[float, float], framing: Framing) -> tuple[Vector, Vector, Vector]:
    """Camera place [3], unit ray directions [pixels, pixels, 3], and the rotation [3, 3] from camera to model axes."""
    yaw, pitch = np.radians(view)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    turn = about_y @ about_x
    origin = np.array(framing.centre) + turn @ np.array([0.0, 0.0, framing.distance])
    at = (np.arange(pixels) + 0.5) / pixels - 0.5
    grid = np.empty((pixels, pixels, 3))
    # The camera looks along −z; the subject's left (+x) is on the picture's right.
    grid[..., 0], grid[..., 1] = at[None, :] * framing.extent, -at[:, None] * framing.extent
    grid[..., 2] = -framing.distance
    return origin, _unit(grid) @ turn.T, turn


def _towards(yaw: float, pitch: float) -> Vector:
    """Unit vector from the face to a light `yaw` degrees right of and `pitch` degrees above the camera."""
    y, p = np.radians((yaw, pitch))
    return np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])


def _scene(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> Any:
    import open3d

    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        open3d.core.Tensor.from_numpy(np.ascontiguousarray(vertices, np.float32)),
        open3d.core.Tensor.from_numpy(np.ascontiguousarray(triangles, np.uint32)),
    )
    return scene


def _cast(scene: Any, rays: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    import open3d

    hits = scene.cast_rays(open3d.core.Tensor.from_numpy(np.ascontiguousarray(rays)))
    return {name: hits[name].numpy() for name in ("t_hit", "primitive_ids", "primitive_uvs")}


def _unit(vectors: Vector) -> Vector:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def _to_linear(srgb: NDArray[Any]) -> Vector:
    """sRGB in [0, 1] as linear light (IEC 61966-2-1)."""
    x = np.asarray(srgb, np.float64)
    linear: Vector = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return linear


def _to_srgb(linear: Vector) -> Vector:
    """Linear light as sRGB in [0, 1] (IEC 61966-2-1)."""
    x = np.clip(linear, 0, 1)
    srgb: Vector = np.where(x <= 0.0031308, x * 12.92, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    return srgb
