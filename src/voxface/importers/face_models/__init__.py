"""Readers of published face models; each gives a `MorphableModel` in millimetres, with standard deviations in the basis.

Each format has a file with `read_<format>(path, …) -> MorphableModel`. No code in a model file can run.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.assembly import ALL_MODES, Modes
from voxface.importers.face_models.bfm2009 import read_bfm2009
from voxface.importers.face_models.bfm2017 import read_bfm2017
from voxface.importers.face_models.eos_landmarks import read_eos_landmarks
from voxface.importers.face_models.flame import read_flame
from voxface.importers.face_models.gnm import read_gnm
from voxface.importers.face_models.ict import NEUTRAL, read_ict
from voxface.importers.face_models.landmarks import read_landmarks
from voxface.importers.face_models.npz import read_npz
from voxface.importers.face_models.surrey import read_surrey
from voxface.importers.face_models.tddfa import read_tddfa
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.regular import check_regular
from voxface.training.foreign.pickled_arrays import read_pickle

Reader = Callable[[Path, NDArray[np.int64] | None, Modes], MorphableModel]


def _bfm2009(path: Path, landmarks: NDArray[np.int64] | None, modes: Modes) -> MorphableModel:
    """Reads BFM-2009, Basel's `.mat` or 3DDFA-V2's pickle of it."""
    return (read_bfm2009 if path.suffix.lower() == ".mat" else read_tddfa)(path, landmarks=landmarks, modes=modes)


FORMATS: dict[str, Reader] = {
    "ict": lambda path, landmarks, modes: read_ict(path, landmarks=landmarks, modes=modes),
    "ict-face": lambda path, landmarks, modes: read_ict(path, landmarks=landmarks, modes=modes, region="face"),
    "bfm2009": _bfm2009,
    "bfm2017": lambda path, landmarks, modes: read_bfm2017(path, landmarks=landmarks, modes=modes),
    "flame": lambda path, landmarks, modes: read_flame(path, landmarks=landmarks, modes=modes),
    "gnm": lambda path, landmarks, modes: read_gnm(path, landmarks=landmarks, modes=modes),
    "surrey": lambda path, landmarks, modes: read_surrey(path, landmarks=landmarks, modes=modes),
}


def detect_format(path: Path) -> str:
    """The format of a model file or folder, by its name and the keys in it.

    Raises:
        InputError: the path is missing, damaged, or of an unknown format.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    suffix = path.suffix.lower()
    if path.is_dir():
        if (path / NEUTRAL).is_file():
            return "ict"
    elif suffix in (".mat", ".h5", ".hdf5", ".bin"):
        return {".mat": "bfm2009", ".bin": "surrey"}.get(suffix, "bfm2017")
    elif suffix in (".npz", ".pkl", ".pickle"):
        keys = set(read_npz(path) if suffix == ".npz" else read_pickle(path))
        for name, sign in (("bfm2009", "w_shp"), ("flame", "shapedirs"), ("gnm", "template_vertex_positions")):
            if sign in keys:
                return name
    raise InputError(f"{path}: not recognised as a face model; say --format {' | '.join(FORMATS)}")


def read_face_model(
    path: Path, format_: str | None = None, *, landmarks: Path | None = None, modes: Modes = ALL_MODES
) -> MorphableModel:
    """Reads a published face model.

    Args:
        path: the model's file, or folder for ICT-FaceKit. format_: a name of `FORMATS`; None: detected from the path.
        landmarks: file of 68 vertex indices, or eos' `ibug_to_sfm.txt`, required for formats without landmarks; it replaces
        those of the others. modes: number of leading (identity, expression) modes to keep; None: all.

    Raises:
        UsageError: there is no format of that name.
        InputError: the file is missing, damaged, unsafe, or not a model of that format.
        ProviderError: the library that reads its container is not installed.
    """
    if format_ is not None and format_ not in FORMATS:
        raise UsageError(f"no face-model format {format_!r}; there are {', '.join(FORMATS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        check_regular(path)
    with np.errstate(all="ignore"):  # overflowing numbers are refused with an error of their own
        eos = None if landmarks is None else read_eos_landmarks(landmarks)
        if eos is not None:
            if (format_ or detect_format(path)) != "surrey":
                raise InputError(
                    f"{landmarks}: maps landmarks to a model of eos (.bin); give 68 vertex indices of {path}"
                )
            return read_surrey(path, landmarks=eos, modes=modes)
        indices = None if landmarks is None else read_landmarks(landmarks)
        return FORMATS[format_ or detect_format(path)](path, indices, modes)
