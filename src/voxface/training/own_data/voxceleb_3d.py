"""Faces that others have fitted, as Voxceleb-3D has them (Wu 2022, §3.2): a folder of files for each person.

Its authors say of them (the README of their code): `.npy`, 3DMM parameters of BFM-2009, 199 of shape and 29 of expression, of
which the first 40 of shape are those that 3DDFA-V2 keeps; `.xyz`, the vertices; `.obj`, the same with triangles; `_b.jpg`, the
mesh drawn over the photograph. Who is learnt from has several faces, who is measured on has one. Their evaluation reads an
`.xyz` as lines of three numbers, one for each of 53,215 vertices.

Nothing public says in which unit the parameters are, nor whether shape and expression stand in one array. So arrays of 228
numbers are read, or of the 199 of shape; in standard deviations, or with 3DDFA's whitening, which has these, in the unit of
BFM's own modes. What can be neither is rejected.
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import read_npy
from voxface.runtime.files.regular import read_bytes
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.vertex_fit import VertexFitter
from voxface.training.own_data.expert_fits import EXPRESSION, SHAPE, require_bfm
from voxface.training.own_data.fit_files import PARAMETERS, VERTICES
from voxface.training.own_data.person_faces import PersonFaces

ALL_SHAPE, ALL_EXPRESSION = 199, 29
_LARGEST: Final = 10.0  # standard deviations: a face beyond is none
_SMALLEST: Final = 1e-3  # a face whose largest is less was divided by deviations that it was not multiplied by
MOST_OFF_MM: Final = 5.0  # root mean square; nearer than that comes the mean face to any
_MOST_BYTES: Final = 1 << 26


def require_model(model: MorphableModel) -> None:
    """Raises UsageError unless a model's coefficients and vertices are those of Voxceleb-3D."""
    require_bfm(model, "--fits: Voxceleb-3D's faces are")


def known_faces(
    files: tuple[Path, ...], whitening: Path | None, model: MorphableModel
) -> tuple[PersonFaces, list[LeftOut]]:
    """The faces of a person's files, one of each name, and the files that were rejected.

    Of a face with both files the parameters are read, which are exact. The reference is the face that is nearest to all others
    of the person, in coefficients of identity.

    Args:
        whitening: 3DDFA's file; None: parameters are in standard deviations.
    """
    by_name: dict[Path, dict[str, Path]] = {}
    for file in files:
        by_name.setdefault(file.with_suffix(""), {})[file.suffix.lower()] = file
    fits: list[NDArray[np.float32]] = []
    names: list[str] = []
    rejected: list[LeftOut] = []
    fitter = VertexFitter(model) if any(PARAMETERS not in own for own in by_name.values()) else None
    for own in by_name.values():
        file = own.get(PARAMETERS) or own[VERTICES]
        try:
            if fitter is None or PARAMETERS in own:
                fits.append(read_parameters(file, whitening))
            else:
                fits.append(read_vertices(file, fitter))
            names.append(file.name)
        except InputError as error:
            rejected.append(LeftOut(str(file), str(error).removeprefix(f"{file}: ")))
    if not fits:
        return PersonFaces.none(model.modes), rejected
    faces = np.stack(fits)
    identity = faces[:, :SHAPE].astype(np.float64)
    best = int(np.argmin([np.linalg.norm(identity - own, axis=1).sum() for own in identity]))
    return PersonFaces.without_pictures(faces, best, names[best], SHAPE), rejected


def read_parameters(file: Path, whitening: Path | None) -> NDArray[np.float32]:
    """Coefficients float32 [50] in standard deviations, from an array of 228 or 199 numbers.

    Raises:
        InputError: it holds something else, or numbers that are no face in this unit.
    """
    with reading(
        file, "an array", advice=f"{ALL_SHAPE} parameters of shape, and perhaps {ALL_EXPRESSION} of expression"
    ):
        found = read_npy(read_bytes(file, _MOST_BYTES))
    if found.dtype.kind not in "fiu" or found.size not in (ALL_SHAPE, ALL_SHAPE + ALL_EXPRESSION):
        raise InputError(
            f"{file}: holds {found.dtype} {list(found.shape)[:8]}; {ALL_SHAPE} parameters of shape are needed, or "
            f"{ALL_SHAPE + ALL_EXPRESSION} of shape and expression"
        )
    every = found.ravel().astype(np.float64)
    kept = np.zeros(SHAPE + EXPRESSION)
    kept[:SHAPE] = every[:SHAPE]
    if len(every) > ALL_SHAPE:
        kept[SHAPE:] = every[ALL_SHAPE : ALL_SHAPE + EXPRESSION]
    if whitening is not None:
        kept /= _deviations(whitening)
    largest = float(np.abs(kept).max())
    if not largest <= _LARGEST:  # false for NaN
        unit = (
            "give 3DDFA's whitening (--whitening) if they are in the unit of BFM's modes"
            if whitening is None
            else "damaged?"
        )
        raise InputError(f"{file}: a parameter of {largest:.3g} standard deviations is of no face; {unit}")
    if whitening is not None and float(np.abs(kept[:SHAPE]).max()) < _SMALLEST:  # deviations of expressions are about 1
        raise InputError(f"{file}: parameters of shape below {_SMALLEST:g} standard deviations; leave out --whitening")
    return kept.astype(np.float32)


def read_vertices(file: Path, fitter: VertexFitter) -> NDArray[np.float32]:
    """Coefficients float32 [P] of the face that is nearest to vertices, in any pose, scale and unit.

    Raises:
        InputError: it holds something else, or vertices of no face of the model.
    """
    text = read_bytes(file, _MOST_BYTES)
    with reading(file, "a table of vertices", advice="lines of three numbers are needed"):
        points = np.array(text.split(), np.float64).reshape(-1, 3)
    model = fitter.model
    if points.shape != model.mean.shape:
        raise InputError(f"{file}: {len(points)} vertices, and {model.name} has {len(model.mean)}")
    if not np.isfinite(points).all() or not np.ptp(points, axis=0).all():
        raise InputError(f"{file}: vertices that are no numbers, or all in one plane")
    coefficients, off = fitter.fit(points)
    if off > MOST_OFF_MM:
        raise InputError(f"{file}: vertices of no face of {model.name} (the nearest is {off:.1f} mm off)")
    return coefficients


@cache
def _deviations(whitening: Path) -> NDArray[np.float64]:
    from voxface.training.models.experts.expert import POSE
    from voxface.training.models.experts.published import Whitening

    return Whitening.load(whitening).std[POSE:].astype(np.float64)
