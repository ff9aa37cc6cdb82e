"""Vectors of the voices and faces of public lists, made by any system: one `.npz` archive of four arrays.

| array | what |
|---|---|
| `voice_paths` | text [V]: paths of voices, written as in the lists of trials |
| `voices` | real numbers [V, E]: the vector of each; any length but zero, since only directions are compared |
| `face_paths` | text [F] |
| `faces` | real numbers [F, E], of the same space |

Made in NumPy by `np.savez(file, voice_paths=np.array(paths), voices=vectors, face_paths=…, faces=…)`. It may hold more than a
list needs; a list of which it lacks a voice or a face is left out, since figures on a part of a list compare with nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import read_npz, to_float32
from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.matching.association import unit

Float32 = NDArray[np.float32]
ARRAYS: Final = ("voice_paths", "voices", "face_paths", "faces")
_ADVICE: Final = f"write one with the arrays {', '.join(ARRAYS)}"


@dataclass(frozen=True)
class Vectors:
    """Vectors by path.

    Attributes:
        row: path -> row.
        vectors: float32 [N, E] of unit length.
    """

    row: Mapping[str, int]
    vectors: Float32


@dataclass(frozen=True)
class EmbeddingsFile:
    """What a file holds.

    Attributes:
        name: of the system, the file's stem.
        digest: SHA-256 of the file.
        voices, faces: the vectors.
    """

    name: str
    digest: str
    voices: Vectors
    faces: Vectors

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads a file.

        Raises:
            InputError: it cannot be read, an array is missing or does not fit, a path stands twice, or a vector has a number
                that is not finite or the length zero.
        """
        data = read_bytes(file)
        with reading(file, "an .npz archive", advice=_ADVICE):
            arrays = read_npz(data, ARRAYS)
        if missing := [name for name in ARRAYS if name not in arrays]:
            raise InputError(f"{file}: lacks {', '.join(missing)}; {_ADVICE}")
        voices, faces = (_vectors(file, arrays, *names) for names in (ARRAYS[:2], ARRAYS[2:]))
        if voices.vectors.shape[1] != faces.vectors.shape[1]:
            wide, other = voices.vectors.shape[1], faces.vectors.shape[1]
            raise InputError(f"{file}: voices have {wide} numbers and faces {other}; both must be of one space")
        return cls(file.stem, hashlib.sha256(data).hexdigest(), voices, faces)


def _vectors(file: Path, arrays: Mapping[str, NDArray[Any]], of_paths: str, of_vectors: str) -> Vectors:
    paths, numbers = arrays[of_paths], arrays[of_vectors]
    if paths.dtype.kind != "U" or paths.ndim != 1 or not len(paths):
        raise InputError(f"{file}: {of_paths} is {paths.dtype} {list(paths.shape)[:4]}; a row of texts is expected")
    if numbers.dtype.kind not in "fiu" or numbers.ndim != 2 or len(numbers) != len(paths) or not numbers.shape[1]:
        raise InputError(
            f"{file}: {of_vectors} is {numbers.dtype} {list(numbers.shape)[:4]}; real numbers [{len(paths)}, E] are expected, "
            f"a row for each of {of_paths}"
        )
    vectors = to_float32(numbers)
    good = np.isfinite(vectors).all(1) & (np.abs(vectors).max(1) > 0)
    if not good.all():
        path = paths[int(np.argmin(good))]
        raise InputError(f"{file}: the vector of {path} is zero, or not finite; no direction can be compared with it")
    names = paths.tolist()
    row = {path: place for place, path in enumerate(names)}
    if len(row) != len(names):
        twice = next(path for place, path in enumerate(names) if row[path] != place)
        raise InputError(f"{file}: {of_paths} names {twice} twice; give each path one vector")
    return Vectors(row, unit(vectors))
