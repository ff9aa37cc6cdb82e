"""Basel Face Model 2017 and 2019 (Gerig et al. 2018), statismo HDF5: millimetres, 199 identity and 100 expression modes.

`shape/model/{mean,pcaBasis,pcaVariance}`, the same under `expression/`, triangles in `shape/representer/cells` [3, F].
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import (
    ALL_MODES,
    ModelArrays,
    Modes,
    Real,
    assemble,
    modes_from_columns,
    parse_deviations,
    parse_points,
    require_array,
)
from voxface.importers.face_models.hdf5 import own_dataset, read_dataset
from voxface.importers.face_models.landmarks import require_landmarks
from voxface.importers.face_models.surface import triangles_from_zero
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import check_regular
from voxface.runtime.install_advice import how_to_install

CELLS = "shape/representer/cells"


def read_bfm2017(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads `model2017-1_*.h5`. The mean face is the shape mean plus the expression mean, as the model defines it.

    Args:
        path: the file.
        landmarks: 68 vertices; required, because the file's own landmarks are other points.
        modes: number of leading identity and expression modes to keep.

    Raises:
        InputError: damaged, a key is missing, or no landmarks.
        ProviderError: h5py is not installed.
    """
    arrays = _read_h5(path, modes)
    mean = parse_points(path, "shape/model/mean", require_array(path, arrays, "shape/model/mean"))
    identity, expression = (
        _modes(path, arrays, part, len(mean), count) for part, count in (("shape", modes[0]), ("expression", modes[1]))
    )
    if "expression/model/mean" in arrays:
        offset = parse_points(path, "expression/model/mean", arrays["expression/model/mean"])
        if offset.shape != mean.shape:
            raise InputError(f"{path}: {len(offset)} vertices in the expression mean, {len(mean)} in the shape mean")
        mean = mean + offset
    return assemble(
        path,
        ModelArrays(
            name="bfm2017",
            version=path.stem,
            licence="Basel Face Model 2017 licence: non-commercial research, no redistribution",
            provenance=f"Basel Face Model, {len(identity)} identity and {len(expression)} expression modes of {path.name}",
            millimetres=1.0,
            mean=mean,
            identity=identity,
            expression=expression,
            triangles=triangles_from_zero(path, CELLS, require_array(path, arrays, CELLS), len(mean)),
            landmarks=require_landmarks(path, "BFM-2017", landmarks),
            more_pairs={},
        ),
    )


def _modes(path: Path, arrays: dict[str, NDArray[Any]], part: str, vertices: int, count: int | None) -> Real:
    """Modes [K, N, 3] of the shape or of the expressions (none if the file has none), with standard deviations folded in."""
    if part == "expression" and f"{part}/model/pcaBasis" not in arrays:
        return np.empty((0, vertices, 3), np.float32)
    basis, variance = (require_array(path, arrays, f"{part}/model/{name}") for name in ("pcaBasis", "pcaVariance"))
    kept = modes_from_columns(path, f"{part}/model/pcaBasis", basis, vertices, count)
    if not (variance >= 0).all():
        raise InputError(f"{path}: negative or NaN variances in {part}/model/pcaVariance; fetch the file again")
    scaled: Real = kept * parse_deviations(path, f"{part}/model/pcaVariance", np.sqrt(variance), len(kept))
    return scaled


def _read_h5(path: Path, modes: Modes) -> dict[str, NDArray[Any]]:
    """The model's plain datasets in an HDF5 file; bases are read up to the wanted number of modes."""
    try:
        import h5py
    except ImportError as error:
        raise ProviderError(f"reading .h5 files needs h5py; {how_to_install('train')}") from error
    check_regular(path)
    names = [f"{part}/model/{what}" for part in ("shape", "expression") for what in ("mean", "pcaBasis", "pcaVariance")]
    arrays: dict[str, NDArray[Any]] = {}
    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        for name in (*names, CELLS):
            found = own_dataset(path, file, name)
            if found is None or found.dtype.kind not in "fiu":
                continue
            wanted = modes[0 if name.startswith("shape") else 1]
            cut = name.endswith("pcaBasis") and found.ndim == 2
            arrays[name] = read_dataset(name, found, wanted if cut else None)
    return arrays
