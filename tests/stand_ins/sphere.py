"""A morphable model small enough to check by hand: a sphere whose first mode widens it."""

from typing import Any

import numpy as np

from voxface.runtime.face.morphable_model import MorphableModel


def sphere(**changes: Any) -> MorphableModel:
    """A closed sphere of 722 vertices and radius 90 mm with two modes: wider by 1 mm, taller by 2 mm."""
    n = 20
    down = np.pi * np.arange(1, n - 1) / (n - 1)
    round_ = np.pi * np.arange(2 * n) / n
    ring = [[np.sin(a) * np.cos(b), np.cos(a), -np.sin(a) * np.sin(b)] for a in down for b in round_]
    unit = np.array([[0, 1, 0], *ring, [0, -1, 0]], np.float32)
    m, last = 2 * n, len(unit) - 1
    triangles = [[0, 1 + j, 1 + (j + 1) % m] for j in range(m)]
    for i in range(n - 3):
        for j in range(m):
            a, b = 1 + i * m + j, 1 + i * m + (j + 1) % m
            triangles += [[a, a + m, b], [b, a + m, b + m]]
    triangles += [[last, 1 + (n - 3) * m + (j + 1) % m, 1 + (n - 3) * m + j] for j in range(m)]
    fields: dict[str, Any] = {
        "name": "sphere",
        "version": "1",
        "licence": "CC0-1.0",
        "provenance": "written by hand",
        "mean": 90 * unit,
        "basis": np.stack([unit * [1, 0, 0], unit * [0, 2, 0]]).astype(np.float32),
        "identity_modes": 2,
        "triangles": np.array(triangles, np.int32),
        "landmarks": np.arange(68, dtype=np.int32),
        "are_pairs": {"ear": (0, last)},
        "measurements": {"height": (0, last), "path": (0, 1, last)},
        "parts": np.zeros(len(unit), np.uint8),
        "albedo": np.full((len(unit), 3), 0.6, np.float32),
        "sex_means": np.array([[-2, -1], [2, 1]], np.float32),
        "sex_scale": 1.5,
        "face_types": {
            "wide": np.array([3, 0], np.float32),
            "regular": np.zeros(2, np.float32),
            "slim": np.array([-3, 0], np.float32),
        },
        "boundary_edges": 0,
    }
    return MorphableModel(**{**fields, **changes})
