"""Basel Face Model 2009, `01_MorphableModel.mat` (Paysan et al. 2009): micrometres, 53,490 vertices, 199 modes.

`shapeMU` [3N, 1], `shapePC` [3N, 199] unit vectors, `shapeEV` [199, 1] standard deviations, `tl` [F, 3] counted from 1.
No expressions and no 68 landmarks.
"""

from pathlib import Path

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
from voxface.importers.face_models.landmarks import require_landmarks
from voxface.importers.face_models.mat5 import read_mat
from voxface.importers.face_models.surface import triangles_from_zero
from voxface.runtime.face.morphable_model import MorphableModel

LICENCE = "Basel Face Model licence: non-commercial research, no redistribution"


def read_bfm2009(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads `01_MorphableModel.mat`.

    Args:
        path: the file.
        landmarks: 68 vertices; required, because the file has none.
        modes: number of leading identity modes to keep; there are no expression modes.

    Raises:
        InputError: damaged, a key is missing, or no landmarks.
    """
    arrays = read_mat(path)
    mean = parse_points(path, "shapeMU", require_array(path, arrays, "shapeMU"))
    basis = modes_from_columns(path, "shapePC", require_array(path, arrays, "shapePC"), len(mean), modes[0])
    return assemble(
        path,
        ModelArrays(
            name="bfm2009",
            version="2009",
            licence=LICENCE,
            provenance=f"Basel Face Model 2009, {len(basis)} identity modes of {path.name}",
            millimetres=1e-3,
            mean=mean,
            identity=basis * parse_deviations(path, "shapeEV", require_array(path, arrays, "shapeEV"), len(basis)),
            expression=np.empty((0, len(mean), 3), np.float32),
            triangles=triangles_from_zero(path, "tl", require_array(path, arrays, "tl"), len(mean)),
            landmarks=require_landmarks(path, "BFM-2009", landmarks),
            more_pairs={},
        ),
    )
