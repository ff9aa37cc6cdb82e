"""BFM-2009 without the neck, as 3DDFA-V2 (and Wu 2022 after it) pickles it: micrometres, 38,365 or 53,215 vertices.

`u` [3N, 1] the mean, `w_shp` [3N, 40+] and `w_exp` [3N, 10+] modes, `tri` [3, F], `keypoints` the 68 landmarks, as
vertices or as the 204 indices of their coordinates. The standard deviations of the coefficients lie in a second file,
`param_mean_std_62d_120x120.pkl` (`std`: 12 of the pose, 40 shape, 10 expression); the triangles of the 38,365-vertex
mesh in a third, `tri.pkl` (https://github.com/cleardusk/3DDFA_V2).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import (
    ALL_MODES,
    ModelArrays,
    Modes,
    assemble,
    modes_from_columns,
    parse_deviations,
    parse_points,
    require_array,
)
from voxface.importers.face_models.bfm2009 import LICENCE
from voxface.importers.face_models.landmarks import COUNT, require_landmarks
from voxface.importers.face_models.surface import triangles_from_zero, whole_numbers
from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.are_metric import PAPER, PAPER_PAIRS, PAPER_VERTICES
from voxface.training.foreign.pickled_arrays import read_pickle

# Whitening file beside the model, and the key of its standard deviations (3DDFA-V2's, then 3DDFA's and Wu 2022's).
WHITENING = {"param_mean_std_62d_120x120.pkl": "std", "param_whitening.pkl": "param_std"}
TRIANGLES = "tri.pkl"
POSE, SHAPE, EXPRESSION = 12, 40, 10


def read_tddfa(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads `bfm_noneck_v3.pkl` or the 53,215-vertex pickle; its whitening file must lie beside it.

    The mean is `u`, the mean face of BFM. Only the standard deviations of the whitening are used; its mean is that of 3DDFA's
    training pictures. A model with 53,215 vertices also gets the paper's ARE pairs.

    Args:
        path: the pickle.
        landmarks: 68 vertices that replace `keypoints`.
        modes: number of leading modes to keep, of the 40 identity and 10 expression modes with known deviations.

    Raises:
        InputError: damaged, unsafe, a key or the whitening is missing.
    """
    arrays = read_pickle(path)
    mean = parse_points(path, "u", require_array(path, arrays, "u"))
    std = _deviations(path)
    identity, expression = (
        modes_from_columns(
            path, key, require_array(path, arrays, key), len(mean), most if count is None else min(count, most)
        )
        for key, most, count in (("w_shp", SHAPE, modes[0]), ("w_exp", EXPRESSION, modes[1]))
    )
    return assemble(
        path,
        ModelArrays(
            name="bfm2009-noneck",
            version=str(len(mean)),
            licence=LICENCE,
            provenance=(
                f"Basel Face Model 2009 without the neck, {len(mean)} vertices, as pickled by 3DDFA-V2; "
                "standard deviations of its whitening"
            ),
            millimetres=1e-3,
            mean=mean,
            identity=identity * parse_deviations(path, "std", std[POSE : POSE + SHAPE], len(identity)),
            expression=expression * parse_deviations(path, "std", std[POSE + SHAPE :], len(expression)),
            triangles=_triangles(path, arrays, len(mean)),
            landmarks=require_landmarks(
                path, "this pickle", _keypoints(path, arrays) if landmarks is None else landmarks
            ),
            more_pairs=(
                {PAPER + name: pair for name, pair in PAPER_PAIRS.items()} if len(mean) == PAPER_VERTICES else {}
            ),
        ),
    )


def _deviations(path: Path) -> NDArray[np.float32]:
    """Standard deviations float32 [62 or more] from the whitening file beside the model."""
    for name, key in WHITENING.items():
        file = path.parent / name
        if file.is_file():
            std = np.asarray(require_array(file, read_pickle(file), key), np.float32).ravel()
            if len(std) < POSE + SHAPE + EXPRESSION:
                raise InputError(f"{file}: {len(std)} standard deviations, not {POSE + SHAPE + EXPRESSION} or more")
            return std
    raise InputError(
        f"{path}: no standard deviations of the coefficients; put {' or '.join(WHITENING)} of 3DDFA beside this file"
    )


def _triangles(path: Path, arrays: dict[str, NDArray[Any]], vertices: int) -> NDArray[np.int64]:
    """Triangles from `tri.pkl` beside a 38,365-vertex model (3DDFA-V2's own file), or else from the model."""
    file = path.parent / TRIANGLES
    if path.name.startswith("bfm_noneck_v3") and file.is_file():
        return triangles_from_zero(file, "the array", require_array(file, read_pickle(file), ""), vertices)
    if "tri" not in arrays:
        raise InputError(f"{path}: no 'tri' in this file; put {TRIANGLES} of 3DDFA-V2's configs beside it")
    return triangles_from_zero(path, "tri", arrays["tri"], vertices)


def _keypoints(path: Path, arrays: dict[str, NDArray[Any]]) -> NDArray[np.int64] | None:
    if "keypoints" not in arrays:
        return None
    places = whole_numbers(path, "keypoints", arrays["keypoints"].ravel())
    return places[::3] // 3 if len(places) == 3 * COUNT else places
