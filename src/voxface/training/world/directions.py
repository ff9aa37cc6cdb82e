"""Two directions of face variation within a sex that may correlate with a voice: size, and width for length."""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.are_metric import REFERENCE, anatomical_pairs
from voxface.training.faces.population import FacePopulation

Axes = Literal["lengths", "ratios"]
Float64 = NDArray[np.float64]

SIZE_MEASURES: Final = ("face_width", "face_length", "head_breadth", "head_length", "nose_length")
"""Measurements whose sum, each in units of its standard deviation, is the size of a face."""

# Landmarks (Multi-PIE order) of the jaw's width, in addition to the pairs of the ARE metric.
_JAW: Final = (4, 12)
_STEP: Final = 1e-2  # of a coefficient, for central differences


def voice_directions(model: MorphableModel, population: FacePopulation, sex: int, axes: Axes) -> Float64:
    """Two directions over the K coefficients of the population, float64 [2, K], as linear scores: s = directions · (α − mean).

    Over the people of the sex (0 female, 1 male) both scores have variance one and they are uncorrelated: the second is
    made orthogonal to the first in the metric of the population's covariance (Gram–Schmidt).

    Args:
        axes: measures that the scores are made of, each in units of its standard deviation. "lengths": first the sum of those
            `SIZE_MEASURES` that the model has, second breadth (cheeks, jaw) minus length (sellion to menton), all in
            millimetres. "ratios": the four ratios of the ARE metric, lengths over the distance between the eyes; first
            their sum (a large face around the eyes), second breadth (ears, cheeks, forehead) minus length.

    Raises:
        InputError: the model has none of `SIZE_MEASURES`, or its population does not vary in them.
    """
    covariance = population.covariance[sex].astype(np.float64)
    pairs = anatomical_pairs(model.landmarks)
    if axes == "lengths":
        sizes: dict[str, tuple[int, ...]] = {
            name: model.measurements[name] for name in SIZE_MEASURES if name in model.measurements
        }
        if not sizes:
            raise InputError(f"model {model.name} has none of the measurements {', '.join(SIZE_MEASURES)}")
        jaw = (int(model.landmarks[_JAW[0]]), int(model.landmarks[_JAW[1]]))
        shapes: dict[str, tuple[int, ...]] = {"cheek": pairs["cheek"], "jaw": jaw, "midline": pairs["midline"]}
        size = _scores(_slopes(model, population, sex, sizes), covariance).sum(1)
        parts = dict(zip(shapes, _scores(_slopes(model, population, sex, shapes), covariance).T, strict=True))
        shape = (parts["cheek"] + parts["jaw"]) / 2 - parts["midline"]
    else:
        slopes = _slopes(model, population, sex, pairs, over=REFERENCE)
        names = [name for name in pairs if name != REFERENCE]
        parts = dict(zip(names, _scores(slopes, covariance).T, strict=True))
        size = np.sum(list(parts.values()), axis=0)
        shape = (parts["ear"] + parts["cheek"] + parts["forehead"]) / 3 - parts["midline"]
    first = _unit(size, size, covariance)
    return np.stack([first, _unit(shape - (first @ covariance @ shape) * first, shape, covariance)])


def _slopes(
    model: MorphableModel,
    population: FacePopulation,
    sex: int,
    paths: Mapping[str, tuple[int, ...]],
    over: str | None = None,
) -> Float64:
    """Derivatives of the path lengths by the coefficients at the sex's mean, float64 [K, M].

    With `over`, derivatives of the ratios of the other lengths to that of the path `over`.
    """
    modes = population.mean.shape[1]
    base = population.mean[sex].astype(np.float64)
    steps = _STEP * np.eye(modes)

    def lengths(faces: Float64) -> Float64:
        found = {}
        for name, path in paths.items():
            way = list(path)
            places = model.mean[way] + np.tensordot(faces, model.basis[:modes, way].astype(np.float64), axes=1)
            found[name] = np.linalg.norm(np.diff(places, axis=1), axis=2).sum(1)
        whole = found.pop(over) if over else np.ones(len(faces))
        return np.stack(list(found.values()), axis=1) / whole[:, None]

    slopes: Float64 = (lengths(base + steps) - lengths(base - steps)) / (2 * _STEP)
    return slopes


def _scores(slopes: Float64, covariance: Float64) -> Float64:
    """Slopes [K, M] divided by the standard deviation of each measure in the population."""
    deviations = np.sqrt(np.einsum("km,kl,lm->m", slopes, covariance, slopes))
    return np.asarray(slopes / np.maximum(deviations, 1e-12))


def _unit(direction: Float64, before: Float64, covariance: Float64) -> Float64:
    """The direction scaled to a score of variance one; InputError if too little of the direction `before` is left."""
    variance, whole = direction @ covariance @ direction, before @ covariance @ before
    if not (whole > 1e-12 and variance > 1e-6 * whole):
        raise InputError("the faces of this population do not vary in size and breadth; give another population")
    return np.asarray(direction / np.sqrt(variance))
