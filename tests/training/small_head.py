"""A head small enough for tests: an egg with a nose, brow and jaw, 68 distinct landmarks and ten smooth modes."""

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.population import FacePopulation

Array = NDArray[np.float64]

# Modes: (where in mm, how far they reach in mm, which way, mm per standard deviation); x is taken on both sides.
BUMPS: tuple[tuple[tuple[float, float, float], float, tuple[float, float, float], float], ...] = (
    ((60.0, -70.0, -50.0), 40.0, (1.0, 0.0, 0.0), 2.5),  # jaw width
    ((0.0, -115.0, -5.0), 35.0, (0.0, -1.0, 0.2), 2.5),  # chin length
    ((0.0, -45.0, 30.0), 25.0, (0.0, 0.0, 1.0), 2.0),  # nose projection
    ((0.0, -75.0, 10.0), 25.0, (0.0, -1.0, 0.0), 1.5),  # mouth height
    ((45.0, -40.0, -10.0), 30.0, (0.6, 0.0, 0.8), 2.0),  # cheeks
    ((35.0, 18.0, 5.0), 30.0, (0.0, 1.0, 0.3), 1.5),  # brows
    ((32.0, 0.0, 5.0), 18.0, (1.0, 0.0, 0.0), 1.2),  # eyes apart
)


def small_head() -> MorphableModel:
    """1,682 vertices in the frame of design §2: size, width, depth and the seven modes of `BUMPS`."""
    rows, columns = 40, 42
    down = np.pi * (np.arange(rows) + 1) / (rows + 1)
    round_ = 2 * np.pi * np.arange(columns) / columns
    ring = np.stack(
        [
            np.outer(np.sin(down), np.sin(round_)),
            np.outer(np.cos(down), np.ones(columns)),
            np.outer(np.sin(down), np.cos(round_)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    unit = np.concatenate([[[0.0, 1.0, 0.0]], ring, [[0.0, -1.0, 0.0]]])
    mean = unit * np.array([72.0, 120.0, 95.0]) + np.array([0.0, -5.0, -85.0])
    mean[:, 2] += 24 * np.exp(-((mean[:, 0] / 11) ** 2) - ((mean[:, 1] + 38) / 18) ** 2) * (unit[:, 2] > 0)
    mean[:, 2] += 14 * np.exp(-((mean[:, 0] / 30) ** 2) - ((mean[:, 1] + 90) / 30) ** 2) * (unit[:, 2] > 0)
    triangles = []
    for j in range(columns):
        k = (j + 1) % columns
        triangles.append([0, 1 + j, 1 + k])
        for i in range(rows - 1):
            a, b = 1 + i * columns + j, 1 + i * columns + k
            triangles += [[a, a + columns, b], [b, a + columns, b + columns]]
        last = 1 + (rows - 1) * columns
        triangles.append([len(mean) - 1, last + k, last + j])
    landmarks = _landmarks(mean)
    mean -= mean[landmarks[[36, 45]]].mean(axis=0)
    basis = [mean * 0.03, unit * [2.0, 0.0, 0.0], unit * [0.0, 0.0, 3.0]]
    for (x, y, z), reach, way, size in BUMPS:
        moved = np.zeros_like(mean)
        for side in (1.0, -1.0) if x else (1.0,):
            near = np.exp(-(((mean - np.array([side * x, y, z])) / reach) ** 2).sum(axis=1))
            moved += size * near[:, None] * np.array([side * way[0], way[1], way[2]])
        basis.append(moved)
    modes = np.stack(basis)
    modes -= modes[:, landmarks[[36, 45]]].mean(axis=1, keepdims=True)
    parts = np.where(mean[:, 1] > 60, PARTS.index("scalp"), PARTS.index("skin")).astype(np.uint8)
    first = np.eye(len(modes), dtype=np.float32)[0]
    return MorphableModel(
        name="small-head",
        version="1",
        licence="CC0-1.0",
        provenance="written by hand",
        mean=mean.astype(np.float32),
        basis=modes.astype(np.float32),
        identity_modes=len(modes),
        triangles=np.array(triangles, np.int32),
        landmarks=landmarks,
        are_pairs={"ear": (int(landmarks[0]), int(landmarks[16]))},
        measurements={"face_length": (int(landmarks[27]), int(landmarks[8]))},
        parts=parts,
        albedo=np.full((len(mean), 3), 0.6, np.float32),
        sex_means=np.stack([-first, first]),
        sex_scale=1.5,
        face_types={"wide": first, "slim": -first},
    )


def small_population(model: MorphableModel) -> FacePopulation:
    """Women and men about the model's means."""
    spread = np.eye(model.modes, dtype=np.float32) * 0.6
    return FacePopulation(model.sex_means, np.stack([spread, spread]))


def _landmarks(mean: Array) -> NDArray[np.int32]:
    """The nearest free vertex of the front to where each landmark would be on a face."""
    x = [-50, -42, -33, -23, -13]
    brows = [(v, 22 - (abs(v) - 31) ** 2 / 60) for v in (*x, *(-v for v in reversed(x)))]
    nose = [(0, y) for y in (3, -9, -21, -33)] + [(v, -47) for v in (-14, -7, 0, 7, 14)]
    eyes = [(-45, 0), (-37, 6), (-26, 6), (-17, 0), (-26, -6), (-37, -6)]
    eyes += [(17, 0), (26, 6), (37, 6), (45, 0), (37, -6), (26, -6)]
    outer = [(-26 * np.cos(a), -70 + 11 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 13)[:-1]]
    inner = [(-18 * np.cos(a), -70 + 4 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
    front = mean[:, 2] > -84
    taken: list[int] = []
    for k in range(17):
        # The jaw: down one side of the egg, a little forward of its widest ring, and up the other.
        a = np.pi * (k / 16 - 0.5)
        place = np.array([68 * np.sin(a), -8 - 105 * np.cos(a), -70 + 35 * np.cos(a)])
        taken.append(_free(np.linalg.norm(mean - place, axis=1), taken))
    for place_x, place_y in (*brows, *nose, *eyes, *outer, *inner):
        distance = np.hypot(mean[:, 0] - place_x, mean[:, 1] - place_y)
        taken.append(_free(np.where(front, distance, np.inf), taken))
    return np.array(taken, np.int32)


def _free(distance: Array, taken: list[int]) -> int:
    distance = distance.copy()
    distance[taken] = np.inf
    return int(distance.argmin())
