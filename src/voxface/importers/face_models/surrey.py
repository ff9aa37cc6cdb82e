"""Surrey Face Model (Huber et al. 2016) and any other model in the format of eos: `.bin`, millimetres.

The file is eos' `MorphableModel` (class version 1 to 4) in a little-endian cereal binary archive
(https://github.com/patrikhuber/eos, include/eos/morphablemodel/): a uint32 version, then shape model, colour model and,
from version 2, an optional expression model. A PCA model is mean, orthonormal basis, eigenvalues (each an Eigen matrix:
int32 rows, int32 columns, float32 column by column) and a vector of triangles (uint64 count, three int32 each).
"""

import struct
from pathlib import Path

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
)
from voxface.importers.face_models.eos_landmarks import EosLandmarks
from voxface.importers.face_models.landmarks import require_landmarks
from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.regular import read_bytes

VERSIONS = (1, 4)
PCA, BLENDSHAPES = 0, 1  # the alternatives of eos' ExpressionModel
_SHAPE, _BLENDSHAPES = "sfm_shape_", "expression_blendshapes_"  # how the names of eos' two files begin


def read_surrey(
    path: Path, *, landmarks: NDArray[np.int64] | EosLandmarks | None = None, modes: Modes = ALL_MODES
) -> MorphableModel:
    """Reads an eos `.bin` model; `expression_blendshapes_3448.bin` beside `sfm_shape_3448.bin` gives its expressions.

    Args:
        path: the file, `sfm_shape_3448.bin` for the public one.
        landmarks: 68 vertices, or eos' map to them; required, because the file has none.
        modes: number of leading identity and expression modes to keep.

    Raises:
        InputError: damaged, of another version, or no landmarks.
    """
    archive = _Archive(path, read_bytes(path))
    version = archive.number("<I")
    if not VERSIONS[0] <= version <= VERSIONS[1]:
        hint = "; it looks like expression blendshapes, which are read from beside the shape model: give that"
        raise InputError(
            f"{path}: not an eos model of version {VERSIONS[0]} to {VERSIONS[1]} (it says {version})"
            f"{hint if path.name.startswith(_BLENDSHAPES) else ''}"
        )
    mean, identity, triangles = archive.pca_model(modes[0])
    archive.pca_model(0)  # colour
    expression: Real = np.empty((0, len(mean), 3), np.float32)
    if version > 1 and not archive.number("<B"):  # cereal writes whether an optional is empty
        offset, expression = archive.expressions(len(mean), modes[1])
        mean = mean + offset
    beside = path.with_name(path.name.replace(_SHAPE, _BLENDSHAPES))
    if not len(expression) and beside != path and beside.is_file():
        expression = _Archive(beside, read_bytes(beside)).blendshapes(len(mean), modes[1])
    if isinstance(landmarks, EosLandmarks):
        landmarks = landmarks.on(mean)
    return assemble(
        path,
        ModelArrays(
            name="surrey" if path.name.startswith("sfm") else "eos-model",
            version=path.stem,
            licence="Surrey Face Model licence: non-commercial; other eos models have their own",
            provenance=(
                f"eos model, {len(identity)} identity and {len(expression)} expression modes of {path.name}"
                f"{f' and {beside.name}' if beside != path and len(expression) else ''}"
            ),
            millimetres=1.0,
            mean=mean,
            identity=identity,
            expression=expression,
            triangles=triangles,
            landmarks=require_landmarks(path, "an eos model", landmarks),
            more_pairs={},
        ),
    )


class _Archive:
    """A cereal binary archive, read from front to back."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path, self._data, self._at = path, data, 0

    def number(self, layout: str) -> int:
        """One whole number."""
        value: int = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return value

    def matrix(self) -> NDArray[np.float32]:
        """An Eigen matrix of floats [rows, columns]."""
        rows, columns_ = self.number("<i"), self.number("<i")
        if rows < 0 or columns_ < 0:
            raise InputError(f"{self._path}: a matrix of {rows} by {columns_}; this is no eos model, or a damaged one")
        return np.frombuffer(self._take(4 * rows * columns_), "<f4").reshape(columns_, rows).T

    def triangles(self) -> NDArray[np.int64]:
        """A vector of three int32 each, [F, 3]."""
        return np.frombuffer(self._take(12 * self.number("<Q")), "<i4").reshape(-1, 3).astype(np.int64)

    def pca_model(self, count: int | None) -> tuple[Real, Real, NDArray[np.int64]]:
        """Mean [N, 3], the first `count` modes [K, N, 3] with deviations folded in, triangles; all empty if it is empty."""
        mean, basis, eigenvalues, triangles = self.matrix(), self.matrix(), self.matrix(), self.triangles()
        if not mean.size:
            return np.empty((0, 3)), np.empty((0, 0, 3)), triangles
        placed = parse_points(self._path, "the mean", mean)
        kept = modes_from_columns(self._path, "the PCA basis", basis, len(placed), count)
        if not (eigenvalues >= 0).all():
            raise InputError(f"{self._path}: negative or NaN eigenvalues; this is no eos model, or a damaged one")
        return (
            placed,
            kept * parse_deviations(self._path, "the eigenvalues", np.sqrt(eigenvalues), len(kept)),
            triangles,
        )

    def expressions(self, vertices: int, count: int | None) -> tuple[Real, Real]:
        """Mean offset [N, 3] and modes [K, N, 3] of an expression model, a PCA model or blendshapes."""
        kind = self.number("<i")
        if kind == PCA:
            offset, modes, _ = self.pca_model(count)
            if len(offset) != vertices:
                raise InputError(
                    f"{self._path}: {len(offset)} vertices in the expression model, {vertices} in the shape model"
                )
            return offset, modes
        if kind != BLENDSHAPES:
            raise InputError(
                f"{self._path}: an expression model of unknown kind {kind}; no eos model, or a damaged one"
            )
        return np.zeros((vertices, 3)), self.blendshapes(vertices, count)

    def blendshapes(self, vertices: int, count: int | None) -> Real:
        """Modes [K, N, 3] of a list of blendshapes, each a name and a column of offsets."""
        shapes = []
        for _ in range(self.number("<Q")):
            self._take(self.number("<Q"))  # its name
            shapes.append(self.matrix())
        if not shapes:
            return np.empty((0, vertices, 3), np.float32)
        if len({shape.size for shape in shapes}) > 1:
            raise InputError(f"{self._path}: blendshapes of different sizes; this is no eos model, or a damaged one")
        basis = np.stack([shape.ravel() for shape in shapes], axis=1)
        return modes_from_columns(self._path, "a blendshape", basis, vertices, count)

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise InputError(
                f"{self._path}: ends after {len(self._data)} bytes, in the middle of the model; fetch it again"
            )
        self._at += count
        return piece
