"""GNM Head (Google's Generative aNthropometric Model, v3), `gnm_head.npz`: metres, 17,821 vertices, Apache-2.0.

`template_vertex_positions` [N, 3], `vertex_identity_basis` [253, N, 3], `expression_basis` [383, N, 3], `triangles`
[F, 3]; coefficients are unit-normal (https://github.com/google/GNM). Neck and eyeballs are joints; they stay at rest.
Its landmarks come in `head_sparse_68.txt`, barycentric, which `--landmarks` takes.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import ALL_MODES, ModelArrays, Modes, Real, assemble, entry, points
from voxface.importers.face_models.frame import axes
from voxface.importers.face_models.landmarks import COUNT, needed
from voxface.importers.face_models.npz import read_npz
from voxface.importers.face_models.surface import zero_based
from voxface.runtime.face.morphable_model import MorphableModel

JAW = slice(0, 17)


def read_gnm(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads a GNM head.

    Args:
        path: the `.npz`.
        landmarks: 68 vertices; the file has none, so they are required.
        modes: how many leading identity and expression modes to keep; their order is the file's, by region, not by size.

    Raises:
        InputError: damaged, a key is missing, or no landmarks.
    """
    arrays = read_npz(path)
    mean = points(path, "template_vertex_positions", entry(path, arrays, "template_vertex_positions"))
    identity, expression = (
        np.ascontiguousarray(entry(path, arrays, key)[:count], np.float32)
        for key, count in (("vertex_identity_basis", modes[0]), ("expression_basis", modes[1]))
    )
    return assemble(
        path,
        ModelArrays(
            name="gnm-head",
            version=str(arrays.get("version", "3")),
            licence="Apache-2.0 (Google GNM)",
            provenance=f"GNM Head, {len(identity)} identity and {len(expression)} expression modes, pose at rest",
            millimetres=1000.0,
            mean=mean,
            identity=identity,
            expression=expression,
            triangles=zero_based(path, "triangles", entry(path, arrays, "triangles"), len(mean)),
            landmarks=_ear_to_ear(path, mean, needed(path, "GNM's .npz", landmarks)),
            more_pairs={},
        ),
    )


def _ear_to_ear(path: Path, mean: Real, landmarks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The landmarks with the jaw contour in Multi-PIE order: GNM's file has some of its points out of turn."""
    if landmarks.shape != (COUNT,) or landmarks.min() < 0 or landmarks.max() >= len(mean):
        return landmarks  # refused with its reason when the model is put together
    x, y, _ = (mean[landmarks] @ axes(path, mean[landmarks]).T).T
    x, y = x - (x[36] + x[45]) / 2, y - (y[36] + y[45]) / 2
    ordered = landmarks.copy()
    ordered[JAW] = landmarks[JAW][np.argsort(np.arctan2(x[JAW], -y[JAW]))]
    return ordered
