"""Assembly of a morphable model from the arrays of a file, in any format: checks, units, axes, origin."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.importers.face_models.frame import axis_rotation, check_size
from voxface.importers.face_models.landmarks import COUNT, measurement_paths
from voxface.importers.face_models.surface import drop_non_manifold, orient_outwards
from voxface.runtime.errors import InputError
from voxface.runtime.face.mesh import boundary_edges
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.are_metric import anatomical_pairs

Real = NDArray[np.floating[Any]]
Modes = tuple[int | None, int | None]  # number of leading (identity, expression) modes to keep; None: all

ALL_MODES: Modes = (None, None)

SKIN = (0.80, 0.65, 0.56)  # sRGB; the colour of models without one
LARGEST_MM = 10_000.0  # bound on coordinates and standard deviations; larger ones mean a damaged file


@dataclass(frozen=True)
class ModelArrays:
    """A face model in the units and axes of its file.

    Attributes:
        name, version, licence, provenance: description of the model.
        millimetres: millimetres per unit of the file.
        mean: [N, 3].
        identity: [P, N, 3], displacements by one standard deviation of each mode.
        expression: [E, N, 3], displacements by one standard deviation of each mode, or by one whole blendshape.
        triangles: int64 [F, 3], counted from 0, consistently wound.
        landmarks: int64 [68], vertices in Multi-PIE order.
        more_pairs: ARE pairs in addition to the anatomical ones.
        parts: uint8 [N]; None: all skin.
        albedo: [N, 3], sRGB in [0, 1]; None: the colour `SKIN`.
        expression_names: name of each expression; empty where the format has none.
    """

    name: str
    version: str
    licence: str
    provenance: str
    millimetres: float
    mean: Real
    identity: Real
    expression: Real
    triangles: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    more_pairs: Mapping[str, tuple[int, int]]
    parts: NDArray[np.uint8] | None = None
    albedo: Real | None = None
    expression_names: tuple[str, ...] = ()


def assemble(path: Path, arrays: ModelArrays) -> MorphableModel:
    """The morphable model: millimetres; x to the subject's left, y up, z out of the face; each face's origin midway between its
    outer eye corners.

    It has neither sexes nor face types: `sex_means` are the mean face, `face_types` are empty.

    Raises:
        InputError: inconsistent shapes, NaN, indices outside the mesh, an implausible size, or triangles that form no surface.
    """
    _check(path, arrays)
    turn = axis_rotation(path, arrays.mean[arrays.landmarks])
    corners = arrays.landmarks[[36, 45]]
    mean, identity, expression = (
        _placed(part, arrays.millimetres * turn, corners) for part in (arrays.mean, arrays.identity, arrays.expression)
    )
    largest = max(float(np.abs(part).max(initial=0)) for part in (mean, identity, expression))
    if not largest <= LARGEST_MM:
        raise InputError(f"{path}: coordinates or modes of {largest:.3g} mm; the file is damaged, or in another unit")
    check_size(path, float(np.linalg.norm(mean[corners[1]] - mean[corners[0]])))
    try:
        triangles, dropped = drop_non_manifold(arrays.triangles)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    triangles = orient_outwards(mean, triangles)
    vertices, modes = len(mean), len(identity) + len(expression)
    note = f"; {dropped} triangles left out: repeated, degenerate or a third on one edge" if dropped else ""
    return MorphableModel(
        name=arrays.name,
        version=arrays.version,
        licence=arrays.licence,
        provenance=arrays.provenance + note,
        mean=mean,
        basis=np.concatenate([identity, expression]),
        identity_modes=len(identity),
        triangles=np.ascontiguousarray(triangles, np.int32),
        landmarks=arrays.landmarks.astype(np.int32),
        are_pairs={**anatomical_pairs(arrays.landmarks.astype(np.int32)), **arrays.more_pairs},
        measurements=measurement_paths(arrays.landmarks),
        parts=np.zeros(vertices, np.uint8) if arrays.parts is None else arrays.parts,
        albedo=(np.full((vertices, 3), SKIN) if arrays.albedo is None else arrays.albedo).astype(np.float32),
        sex_means=np.zeros((2, modes), np.float32),
        sex_scale=1.0,
        face_types={},
        boundary_edges=boundary_edges(triangles.astype(np.int32)),
        expression_names=arrays.expression_names,
    )


def modes_from_columns(path: Path, name: str, basis: Real, vertices: int, count: int | None) -> Real:
    """The first `count` modes [K, N, 3] of a basis stored as columns [3N, K] (x y z x y z …).

    Raises:
        InputError: the number of rows is not three times the number of vertices.
    """
    if basis.ndim != 2 or basis.shape[0] != 3 * vertices:
        raise InputError(
            f"{path}: {name} has shape {list(basis.shape)}, not [{3 * vertices}, modes]: the mean has {vertices} vertices"
        )
    kept: Real = np.ascontiguousarray(basis[:, :count].T, np.float32).reshape(-1, vertices, 3)
    return kept


def require_array(path: Path, arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """The array `name` of a file; InputError with the names of the arrays that are there if it is missing, or if it holds
    complex numbers, half of which would be lost."""
    if name not in arrays:
        there = ", ".join(map(repr, sorted(arrays)[:12])) or "nothing"
        raise InputError(f"{path}: no {name!r} in this file (there is {there}); is it the format you think?")
    if arrays[name].dtype.kind == "c":
        raise InputError(f"{path}: {name} holds complex numbers; real ones are needed")
    return arrays[name]


def parse_points(path: Path, name: str, flat: NDArray[Any]) -> Real:
    """Coordinates float64 [N, 3] from an array of 3N numbers (x y z x y z …) in any shape; InputError for other arrays."""
    if flat.dtype.kind not in "fiu" or flat.size == 0 or flat.size % 3:
        raise InputError(f"{path}: {name} has {flat.size} values of type {flat.dtype}, not three coordinates a vertex")
    placed: Real = flat.astype(np.float64).reshape(-1, 3)
    return placed


def parse_deviations(path: Path, name: str, values: NDArray[Any], modes: int) -> Real:
    """The first `modes` standard deviations as [modes, 1, 1]; InputError if there are fewer, or one is negative."""
    flat = np.asarray(values, np.float32).ravel()
    if len(flat) < modes or not (flat[:modes] >= 0).all():
        raise InputError(f"{path}: {name} has {len(flat)} values (or negative ones) for {modes} modes")
    scale: Real = flat[:modes, None, None]
    return scale


def _check(path: Path, arrays: ModelArrays) -> None:
    n = len(arrays.mean)
    if len(arrays.identity) == 0:
        raise InputError(f"{path}: no identity modes; a model without a basis cannot be used")
    for name, basis in (("identity", arrays.identity), ("expression", arrays.expression)):
        if basis.shape[1:] != (n, 3):
            raise InputError(f"{path}: the {name} basis has shape {list(basis.shape)}, the mean has {n} vertices")
    for name, values in (("mean", arrays.mean), ("identity", arrays.identity), ("expression", arrays.expression)):
        if not np.isfinite(values).all():
            raise InputError(f"{path}: NaN or infinity in the {name}; fetch the file again")
    if arrays.triangles.ndim != 2 or arrays.triangles.shape[1] != 3 or len(arrays.triangles) == 0:
        raise InputError(f"{path}: the triangles have shape {list(arrays.triangles.shape)}, not [F, 3]")
    if arrays.landmarks.shape != (COUNT,):
        raise InputError(f"{path}: {arrays.landmarks.size} landmarks, not {COUNT}")
    for name, indices in (("triangle", arrays.triangles), ("landmark", arrays.landmarks)):
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= n:
            raise InputError(f"{path}: a {name} names vertex {low if low < 0 else high}; the mean has {n} vertices")


def _placed(part: Real, turn: NDArray[np.float64], corners: NDArray[np.int64]) -> NDArray[np.float32]:
    """Vertices or modes, rotated and scaled by `turn`, minus the place (or displacement) of the outer eye corners' midpoint."""
    turned = part.astype(np.float64 if part.ndim == 2 else part.dtype) @ turn.T.astype(part.dtype)
    if not len(turned):
        return turned.astype(np.float32)
    turned -= turned[..., corners, :].mean(axis=-2, keepdims=True)
    return np.ascontiguousarray(turned, np.float32)
