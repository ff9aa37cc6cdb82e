"""FLAME (Li et al. 2017), `generic_model.pkl`, `flame2023.pkl` or the same arrays as `.npz`: metres, 5,023 vertices.

`v_template` [N, 3], `shapedirs` [N, 3, 400] (300 identity, then 100 expression modes, deviations folded in), `f` [F, 3].
Jaw, neck and eyeballs are skinned joints; here they stay at rest, as in the template.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import ALL_MODES, ModelArrays, Modes, assemble, parse_points, require_array
from voxface.importers.face_models.landmarks import require_landmarks
from voxface.importers.face_models.npz import read_npz
from voxface.importers.face_models.surface import triangles_from_zero
from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.foreign.pickled_arrays import read_pickle

IDENTITY = 300  # of the 400 modes; the rest are expressions


def read_flame(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads a FLAME model.

    Args:
        path: the pickle or `.npz`.
        landmarks: 68 vertices; required, because FLAME keeps its landmarks in other files.
        modes: number of leading identity and expression modes to keep.

    Raises:
        InputError: damaged, unsafe, a key is missing, or no landmarks.
    """
    arrays = read_npz(path) if path.suffix.lower() == ".npz" else read_pickle(path)
    mean = parse_points(path, "v_template", require_array(path, arrays, "v_template"))
    directions = require_array(path, arrays, "shapedirs")
    if directions.ndim != 3 or directions.shape[:2] != mean.shape:
        raise InputError(f"{path}: shapedirs have shape {list(directions.shape)}, not [{len(mean)}, 3, modes]")
    basis = directions.transpose(2, 0, 1)
    identity, expression = basis[:IDENTITY][: modes[0]], basis[IDENTITY:][: modes[1]]
    return assemble(
        path,
        ModelArrays(
            name="flame",
            version=path.stem,
            licence="FLAME model licence (CC BY 4.0 for FLAME 2023 Open, else non-commercial research; see your copy)",
            provenance=f"FLAME, {len(identity)} identity and {len(expression)} expression modes of {path.name}, pose at rest",
            millimetres=1000.0,
            mean=mean,
            identity=np.ascontiguousarray(identity, np.float32),
            expression=np.ascontiguousarray(expression, np.float32),
            triangles=triangles_from_zero(path, "f", require_array(path, arrays, "f"), len(mean)),
            landmarks=require_landmarks(path, "FLAME", landmarks),
            more_pairs={},
        ),
    )
