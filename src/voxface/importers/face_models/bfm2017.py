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
    columns,
    deviations,
    entry,
    points,
)
from voxface.importers.face_models.landmarks import needed
from voxface.importers.face_models.surface import zero_based
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.face.morphable_model import MorphableModel

CELLS = "shape/representer/cells"


def read_bfm2017(path: Path, *, landmarks: NDArray[np.int64] | None = None, modes: Modes = ALL_MODES) -> MorphableModel:
    """Reads `model2017-1_*.h5`. The mean is that of the shape plus that of the expressions, as the model defines it.

    Args:
        path: the file.
        landmarks: 68 vertices; the file's own landmarks are other points, so they are required.
        modes: how many leading identity and expression modes to keep.

    Raises:
        InputError: damaged, a key is missing, or no landmarks.
        ProviderError: h5py is not installed.
    """
    arrays = _read_h5(path, modes)
    mean = points(path, "shape/model/mean", entry(path, arrays, "shape/model/mean"))
    identity, expression = (
        _modes(path, arrays, part, len(mean), count) for part, count in (("shape", modes[0]), ("expression", modes[1]))
    )
    if "expression/model/mean" in arrays:
        offset = points(path, "expression/model/mean", arrays["expression/model/mean"])
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
            triangles=zero_based(path, CELLS, entry(path, arrays, CELLS), len(mean)),
            landmarks=needed(path, "BFM-2017", landmarks),
            more_pairs={},
        ),
    )


def _modes(path: Path, arrays: dict[str, NDArray[Any]], part: str, vertices: int, count: int | None) -> Real:
    """Modes [K, N, 3] of the shape or, where the file has them, of the expressions; deviations folded in."""
    if part == "expression" and f"{part}/model/pcaBasis" not in arrays:
        return np.empty((0, vertices, 3), np.float32)
    basis, variance = (entry(path, arrays, f"{part}/model/{name}") for name in ("pcaBasis", "pcaVariance"))
    kept = columns(path, f"{part}/model/pcaBasis", basis, vertices, count)
    if not (variance >= 0).all():
        raise InputError(f"{path}: negative or NaN variances in {part}/model/pcaVariance; fetch the file again")
    scaled: Real = kept * deviations(path, f"{part}/model/pcaVariance", np.sqrt(variance), len(kept))
    return scaled


def _read_h5(path: Path, modes: Modes) -> dict[str, NDArray[Any]]:
    """The plain datasets of an HDF5 file that the model is made of; of the bases only the modes that are wanted."""
    try:
        import h5py
    except ImportError as error:
        raise ProviderError("reading .h5 files needs h5py; pip install 'voxface[train]' -c constraints.txt") from error
    names = [f"{part}/model/{what}" for part in ("shape", "expression") for what in ("mean", "pcaBasis", "pcaVariance")]
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(path, "r") as file:
            for name in (*names, CELLS):
                found = file.get(name)
                if isinstance(found, h5py.Dataset) and found.dtype.kind in "fiu":
                    wanted = modes[0 if name.startswith("shape") else 1]
                    arrays[name] = found[:, :wanted] if name.endswith("pcaBasis") and found.ndim == 2 else found[()]
    except Exception as error:  # a damaged file fails in HDF5 in many ways
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: a damaged HDF5 file, or none ({reason}); fetch it again") from error
    return arrays
