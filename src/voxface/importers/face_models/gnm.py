"""GNM Head (Google's Generative aNthropometric Model, v3), `gnm_head.npz`: metres, 17,821 vertices, Apache-2.0.

`template_vertex_positions` [N, 3], `vertex_identity_basis` [253, N, 3], `expression_basis` [383, N, 3], `triangles`
[F, 3]; coefficients are unit-normal (https://github.com/google/GNM). Neck and eyeballs are joints; they stay at rest.
Its landmarks are barycentric, in `head_sparse_68.txt`, which the option `--landmarks` reads.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import (
    ALL_MODES,
    ModelArrays,
    Modes,
    Real,
    assemble,
    parse_points,
    require_array,
)
from voxface.importers.face_models.frame import axis_rotation
from voxface.importers.face_models.landmarks import COUNT, require_landmarks
from voxface.importers.face_models.npz import read_npz
from voxface.importers.face_models.surface import triangles_from_zero
from voxface.runtime.face.morphable_model import MorphableModel

JAW = slice(0, 17)


def read_gnm(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads a GNM head.

    Args:
        path: the `.npz`.
        landmarks: 68 vertices; required, because the file has none.
        modes: number of leading identity and expression modes to keep; the file orders them by region, not by variance.

    Raises:
        InputError: damaged, a key is missing, or no landmarks.
    """
    arrays = read_npz(path)
    mean = parse_points(path, "template_vertex_positions", require_array(path, arrays, "template_vertex_positions"))
    identity, expression = (
        np.ascontiguousarray(require_array(path, arrays, key)[:count], np.float32)
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
            triangles=triangles_from_zero(path, "triangles", require_array(path, arrays, "triangles"), len(mean)),
            landmarks=_ear_to_ear(path, mean, require_landmarks(path, "GNM's .npz", landmarks)),
            more_pairs={},
        ),
    )


def _ear_to_ear(path: Path, mean: Real, landmarks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The landmarks with the jaw contour sorted into Multi-PIE order, because GNM's file has some points out of order."""
    if landmarks.shape != (COUNT,) or landmarks.min() < 0 or landmarks.max() >= len(mean):
        return landmarks  # `assemble` refuses them with the reason
    x, y, _ = (mean[landmarks] @ axis_rotation(path, mean[landmarks]).T).T
    x, y = x - (x[36] + x[45]) / 2, y - (y[36] + y[45]) / 2
    ordered = landmarks.copy()
    ordered[JAW] = landmarks[JAW][np.argsort(np.arctan2(x[JAW], -y[JAW]))]
    return ordered
