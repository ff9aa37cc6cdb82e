"""Voices and faces compared: matching (one of N), verification and retrieval, on embeddings in one space.

Scores are cosines. Everything goes over blocks, so that millions of trials take memory for a block only; intervals are over
people, of whom a trial's probe is one.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
BLOCK: Final = 1 << 16  # trials at a time
RECALLS: Final = (1, 5, 10)
_ROUNDS: Final = 100  # draws of a bootstrap at a time


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
    # In float64, and each brought to the size of 1 first: squares of large numbers overflow, those of small ones vanish.
    wide = embeddings.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    wide /= np.where(largest > 0, largest, 1)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return (wide / np.where(length > 0, length, 1)).astype(np.float32)


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
    shares = SharesByPerson()
    shares.add(right, person)
    return shares.share(seed=seed, rounds=rounds)


class SharesByPerson:
    """Sums of trials that come in blocks, by person, so that memory grows with the people and not with the trials."""

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] = np.empty(0)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, right: NDArray[np.floating[Any]], person: NDArray[np.integer[Any]]) -> None:
        """Adds trials [T]: a number each, such as whether the choice was right; and whose each is, numbered from 0."""
        if not len(right):
            return
        size = max(len(self._sums), int(person.max()) + 1)
        sums: NDArray[np.float64] = np.bincount(person, right, size).astype(np.float64)
        counts: NDArray[np.int64] = np.bincount(person, minlength=size).astype(np.int64)
        sums[: len(self._sums)] += self._sums
        counts[: len(self._counts)] += self._counts
        self._sums, self._counts = sums, counts

    @property
    def by_person(self) -> dict[int, float]:
        """Mean of each person who has trials."""
        return {int(i): float(self._sums[i] / self._counts[i]) for i in np.flatnonzero(self._counts)}

    def share(self, *, seed: int = 0, rounds: int = 1000) -> Share:
        """Mean of all trials with a bootstrap interval over people.

        Raises:
            ValueError: there are no trials.
        """
        own = self._counts > 0
        if not own.any():
            raise ValueError("no trials")
        sums, counts = self._sums[own], self._counts[own]
        rng, means = np.random.default_rng(seed), []
        for begin in range(0, rounds, _ROUNDS):
            drawn = rng.integers(len(sums), size=(min(_ROUNDS, rounds - begin), len(sums)))
            means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
        low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
        return Share(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()), len(sums))


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
    everybody, person = np.unique(gallery_person, return_inverse=True)
    order = np.argsort(person, kind="stable")
    ends = np.searchsorted(person[order], np.arange(len(everybody) + 1))
    place = np.minimum(np.searchsorted(everybody, query_person), len(everybody) - 1)
    for begin in range(0, len(queries), block):
        score = queries[begin : begin + block] @ gallery.T
        for row, query in enumerate(range(begin, begin + len(score))):
            whose = place[query]
            if everybody[whose] != query_person[query]:
                raise ValueError(f"query {query} has no right item in the gallery")
            right = np.sort(score[row, order[ends[whose] : ends[whose + 1]]])[::-1]
            # The k-th right item comes after all wrong ones that score at least as much; sorting all scores finds their number
            # several times as fast as ranking the whole gallery would.
            ranked = np.sort(score[row])
            level = len(ranked) - np.searchsorted(ranked, right, "left") - np.searchsorted(-right, -right, "right")
            number = np.arange(1, len(right) + 1)
            rank = level + number
            precision[query] = (number / rank).mean()
            first[query] = rank[0]
    return Retrieval(precision, first)
