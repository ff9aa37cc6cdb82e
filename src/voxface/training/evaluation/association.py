"""Voices and faces compared: matching (one of N), verification and retrieval, on embeddings in one space.

Scores are cosines. Everything goes over blocks, so that millions of trials take memory for a block only; intervals are over
people, of whom a trial's probe is one.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.intervals import bootstrap

Float32 = NDArray[np.float32]
BLOCK: Final = 1 << 16  # trials at a time
RECALLS: Final = (1, 5, 10)


@dataclass(frozen=True)
class Share:
    """A share of trials with its 95 % interval over people, and how many trials and people there were."""

    value: float
    low: float
    high: float
    trials: int
    people: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"value": self.value, "interval": [self.low, self.high], "trials": self.trials, "people": self.people}


def unit(embeddings: NDArray[np.floating[Any]]) -> Float32:
    """Embeddings [N, E] at unit length, float32; those of length zero stay.

    Raises:
        ValueError: a number is not finite.
    """
    if not np.isfinite(embeddings).all():
        raise ValueError("an embedding is not finite")
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return (embeddings / np.where(length > 0, length, 1)).astype(np.float32)


def right_choices(
    probes: Float32, candidates: Float32, trials: NDArray[np.integer[Any]], *, block: int = BLOCK
) -> NDArray[np.float32]:
    """Whether the right candidate scores highest, float32 [T]; where k others tie with it, 1 / (k + 1).

    Args:
        probes: [P, E] of unit length.
        candidates: [C, E] of unit length.
        trials: [T, 2 + M], M ≥ 1: numbers of the probe, of the right candidate, and of the wrong ones.
    """
    found = np.empty(len(trials), np.float32)
    for begin in range(0, len(trials), block):
        part = trials[begin : begin + block]
        probe = probes[part[:, 0]]
        right = np.einsum("te,te->t", probe, candidates[part[:, 1]])
        above, level = np.zeros((2, len(part)), np.int64)
        for column in part.T[2:]:
            wrong = np.einsum("te,te->t", probe, candidates[column])
            above += wrong > right
            level += wrong == right
        found[begin : begin + block] = np.where(above > 0, 0, 1 / (1 + level))
    return found


def share_by_person(
    right: NDArray[np.floating[Any]], person: NDArray[np.integer[Any]], *, seed: int = 0, rounds: int = 1000
) -> Share:
    """Mean of the trials [T] with a bootstrap interval over people; `person` [T] says whose each is.

    Raises:
        ValueError: there are no trials.
    """
    if not len(right):
        raise ValueError("no trials")
    _, number = np.unique(person, return_inverse=True)
    sums, counts = np.bincount(number, right), np.bincount(number)

    def mean(people: NDArray[np.int64]) -> float:
        return float(sums[people].sum() / counts[people].sum())

    every = np.arange(len(sums))
    low, high = bootstrap(mean, every, rng=np.random.default_rng(seed), rounds=rounds)
    return Share(mean(every), low, high, len(right), len(sums))


@dataclass(frozen=True)
class Retrieval:
    """How well galleries are searched.

    Attributes:
        precision: average precision of each query, float64 [Q].
        first: rank of the first right item of each query, from 1, int64 [Q].
    """

    precision: NDArray[np.float64]
    first: NDArray[np.int64]

    def recall(self, at: int) -> NDArray[np.float64]:
        """Whether a right item is among the first `at`, float64 [Q]."""
        return (self.first <= at).astype(np.float64)


def retrieve(
    queries: Float32,
    gallery: Float32,
    query_person: NDArray[np.integer[Any]],
    gallery_person: NDArray[np.integer[Any]],
    *,
    block: int = 256,
) -> Retrieval:
    """Ranks the gallery for each query; where scores are equal, wrong items come first, so that ties help nobody.

    Average precision is the mean, over the right items of a query, of the share of right items up to each (as in
    `sklearn.metrics.average_precision_score`, for scores that differ).

    Raises:
        ValueError: a query has no right item in the gallery.
    """
    precision, first = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for begin in range(0, len(queries), block):
        own = slice(begin, begin + block)
        score = queries[own] @ gallery.T
        right = query_person[own, None] == gallery_person
        if not right.any(1).all():
            raise ValueError(f"query {begin + int(np.argmin(right.any(1)))} has no right item in the gallery")
        order = np.lexsort((right, -score), axis=1)
        ranked = np.take_along_axis(right, order, 1)
        ranks = np.arange(1, ranked.shape[1] + 1)
        hits = np.cumsum(ranked, 1) / ranks
        precision[own] = (hits * ranked).sum(1) / ranked.sum(1)
        first[own] = ranked.argmax(1) + 1
    return Retrieval(precision, first)
