"""Wu 2022, Table 1: absolute ratio errors (ARE) of predicted faces per ratio, with errors of landmarks and vertices.

Errors are averaged over the utterances of a person first, then over the people of a speaker (a recording played at another
speed counts as another person), and over speakers last (Wu 2022, §4).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.faces.are_metric import REFERENCE, anatomical_pairs, variants

Float64 = NDArray[np.float64]

RATIOS: Final = ("ear", "forehead", "midline", "cheek")
"""Ratios in the order of Wu 2022, Table 1: ER, FR, MR, CR."""

_OUTER_CANTHI: Final = [36, 45]  # landmarks, Multi-PIE order


@dataclass(frozen=True)
class GeometryErrors:
    """Errors of the predicted faces of S speakers.

    Attributes:
        speakers: their names, length S.
        are: absolute error of each ratio, by set of point pairs ("anatomical", and "paper" where the model has it) and
            ratio: float64 [S].
        key_points: float64 [S], ‖Δ‖₂ of the 68 landmarks, divided by √(width · height) of the true face.
        rms_mm: float64 [S], root mean square distance of the vertices in millimetres.
    """

    speakers: tuple[str, ...]
    are: dict[str, dict[str, Float64]]
    key_points: Float64
    rms_mm: Float64

    def mean_are(self, pairs: str = "anatomical") -> Float64:
        """Mean ARE over the ratios, float64 [S]; its mean over speakers is the last line of Table 1."""
        return np.asarray(np.mean(list(self.are[pairs].values()), axis=0), np.float64)

    @cached_property
    def summary(self) -> dict[str, float]:
        """Means over speakers: "are", each "are_RATIO", "key_points", "rms_mm"; ratios of other sets as "PAIRS_are…"."""
        found: dict[str, float] = {}
        for pairs, ratios in self.are.items():
            prefix = "" if pairs == "anatomical" else f"{pairs}_"
            found[f"{prefix}are"] = float(self.mean_are(pairs).mean())
            found |= {f"{prefix}are_{name}": float(errors.mean()) for name, errors in ratios.items()}
        return found | {"key_points": float(self.key_points.mean()), "rms_mm": float(self.rms_mm.mean())}


def geometry_errors(
    pairs: Pairs, predicted: NDArray[np.float32], utterances: NDArray[np.int32], *, neutral: bool = True
) -> GeometryErrors:
    """Errors of one predicted face per utterance against the true face of the speaker.

    Args:
        predicted: coefficients float32 [U, P].
        utterances: indices int32 [U] of the utterances.
        neutral: whether expression is left out of both faces, because a person's geometry has none, while an expert finds
            some in pictures.

    Raises:
        ValueError: there are no utterances, or not one prediction for each.
    """
    if not len(utterances) or len(predicted) != len(utterances):
        raise ValueError(f"{len(predicted)} predictions of {len(utterances)} utterances")
    model, person = pairs.morphable, pairs.utterance_person[utterances]
    modes = model.identity_modes if neutral else model.modes
    here, there = predicted[:, :modes].astype(np.float64), pairs.coefficients[person][:, :modes].astype(np.float64)
    of_speaker = Speakers.of(pairs, utterances)
    are = {}
    for name, ends in pair_sets(model).items():
        mine, true = ratios(model, here, ends), ratios(model, there, ends)
        are[name] = {ratio: of_speaker.mean(np.abs(mine[ratio] - true[ratio])) for ratio in mine}
    marks = [int(v) for v in model.landmarks]
    return GeometryErrors(
        speakers=of_speaker.names,
        are=are,
        key_points=of_speaker.mean(key_point_errors(_points(model, here, marks), _points(model, there, marks))),
        rms_mm=of_speaker.mean(_rms(model, here - there)),
    )


@dataclass(frozen=True)
class Speakers:
    """How errors of U utterances become those of S speakers: over a person's utterances first, then over a speaker's people.

    Attributes:
        names: the speakers, length S, in alphabetical order.
    """

    names: tuple[str, ...]
    _person: NDArray[np.int64]  # of each utterance, a row of `_speaker`
    _speaker: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Pairs, utterances: NDArray[np.int32]) -> "Speakers":
        """Those of utterances int32 [U]."""
        people, person = np.unique(pairs.utterance_person[utterances], return_inverse=True)
        names, speaker = np.unique([pairs.people[int(i)].speaker for i in people], return_inverse=True)
        return cls(tuple(str(name) for name in names), person, speaker)

    def mean(self, errors: Float64) -> Float64:
        """Errors float64 [U] of utterances as float64 [S] of speakers."""
        of_people = np.bincount(self._person, errors) / np.bincount(self._person)
        return np.asarray(np.bincount(self._speaker, of_people) / np.bincount(self._speaker), np.float64)


def pair_sets(model: MorphableModel) -> dict[str, dict[str, tuple[int, int]]]:
    """The point pairs of the ratios by set: "anatomical", and "paper" where the model has the vertices that the paper uses."""
    return {"anatomical": anatomical_pairs(model.landmarks)} | {
        name: ends for name, ends in variants(model.are_pairs).items() if name == "paper"
    }


@dataclass(frozen=True)
class Gain:
    """Relative reduction of a mean error against a baseline.

    Attributes:
        gain: 0.2 is a fifth less.
        low, high: ends of the 95 % bootstrap interval over speakers.
    """

    gain: float
    low: float
    high: float


def relative_gain(errors: Float64, base: Float64, *, seed: int = 0) -> Gain:
    """1 − mean(errors) / mean(base) with its bootstrap interval.

    Args:
        errors, base: float64 [S] each, of the same speakers in the same order.

    Raises:
        ValueError: they have different numbers of speakers, or none.
    """
    if errors.shape != base.shape or not len(errors):
        raise ValueError(f"errors of {len(errors)} and {len(base)} speakers; they must be of the same speakers")

    def gain(rows: NDArray[np.int64]) -> float:
        return float(1 - errors[rows].mean() / base[rows].mean())

    every = np.arange(len(errors))
    low, high = bootstrap(gain, every, rng=np.random.default_rng(seed))
    return Gain(gain(every), low, high)


def ratios(model: MorphableModel, coefficients: Float64, pairs: Mapping[str, tuple[int, int]]) -> dict[str, Float64]:
    """Ratios of U faces, in the order of `RATIOS`: name -> float64 [U].

    Args:
        coefficients: float64 [U, ≤ P]; missing ones at the end are zero.
        pairs: the two vertices of each distance, by name; each ratio is a distance over the one called
            `faces.are_metric.REFERENCE`.
    """
    return ratios_of(lambda vertices: _points(model, coefficients, vertices), pairs)


def ratios_of(points: Callable[[list[int]], Float64], pairs: Mapping[str, tuple[int, int]]) -> dict[str, Float64]:
    """As `ratios`; `points` gives the positions float64 [U, K, 3] of K vertices of the U faces."""
    lengths = {name: np.linalg.norm(np.diff(points(list(ends)), axis=1)[:, 0], axis=1) for name, ends in pairs.items()}
    order = [*(name for name in RATIOS if name in lengths), *(n for n in lengths if n not in (*RATIOS, REFERENCE))]
    return {name: lengths[name] / lengths[REFERENCE] for name in order}


def _points(model: MorphableModel, coefficients: Float64, vertices: list[int]) -> Float64:
    """Positions float64 [U, len(vertices), 3] of some vertices in millimetres; missing coefficients at the end are zero."""
    basis = model.basis[: coefficients.shape[1], vertices].astype(np.float64)
    return np.asarray(model.mean[vertices] + np.tensordot(coefficients, basis, axes=1))


def key_point_errors(
    mine: Float64, true: Float64, ends: tuple[Float64, Float64] | None = None
) -> Float64:  # Wu 2022, point-based metric of the published code
    """Landmark error float64 [U]: norm of the difference of the 68 landmarks over √(width · height) of the true ones.

    Both heads have the middle between their outer eye corners at the origin, and the prediction is scaled to the true distance
    between these.

    Args:
        mine, true: landmarks float64 [U, 68, 3] in Multi-PIE order.
        ends: float64 [U, 2, 3] of the predicted and the true faces: two other points, whose distance is made the same and whose
            middle is the origin; None: the outer eye corners.
    """
    (eyes, true_eyes) = (mine[:, _OUTER_CANTHI], true[:, _OUTER_CANTHI]) if ends is None else ends
    apart, true_apart = (np.linalg.norm(two[:, 0] - two[:, 1], axis=1) for two in (eyes, true_eyes))
    scale = (true_apart / apart)[:, None, None]
    off = (mine - eyes.mean(1, keepdims=True)) * scale - (true - true_eyes.mean(1, keepdims=True))
    extent = np.ptp(true[:, :, :2], axis=1)
    return np.asarray(np.sqrt(np.square(off).sum(axis=(1, 2)) / extent.prod(axis=1)))


def _rms(model: MorphableModel, difference: Float64) -> Float64:
    """Root mean square over vertices, float64 [U] in millimetres, of coefficients' differences d: ‖Σ d·b‖² = dᵀ(bbᵀ)d."""
    flat = model.basis[: difference.shape[1]].reshape(difference.shape[1], -1).astype(np.float64)
    squares = np.einsum("up,pq,uq->u", difference, flat @ flat.T, difference)
    return np.asarray(np.sqrt(np.maximum(squares, 0) / len(model.mean)))
