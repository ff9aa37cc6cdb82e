"""Shares of trials that were right, person by person: they take memory for the people only, however many trials there are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.result import Measured

Float64 = NDArray[np.float64]


class Tally:
    """Sums of what trials gave, of each of `people` people.

    Attributes:
        sums: float64 [I], sum of the values of each person's trials.
        counts: int64 [I], how many they are.
    """

    def __init__(self, people: int) -> None:
        """None yet."""
        self.sums: Float64 = np.zeros(people)
        self.counts: NDArray[np.int64] = np.zeros(people, np.int64)

    def add(self, values: NDArray[Any], person: NDArray[np.integer[Any]]) -> None:
        """Adds trials: their values [T], bool or numbers, and whose they are [T]; NaN is no trial."""
        known = np.isfinite(values)
        if not known.all():
            values, person = values[known], person[known]
        self.sums += np.bincount(person, values, len(self.sums))
        self.counts += np.bincount(person, minlength=len(self.counts))

    @classmethod
    def of(cls, values: NDArray[Any], person: NDArray[np.integer[Any]], people: int) -> "Tally":
        """A tally of these trials."""
        made = cls(people)
        made.add(values, person)
        return made

    @property
    def value(self) -> float | None:
        """Mean over all trials; None: there are none."""
        count = int(self.counts.sum())
        return float(self.sums.sum() / count) if count else None

    def by_person(self) -> dict[int, float]:
        """Mean of each person who has trials."""
        return {int(i): float(self.sums[i] / self.counts[i]) for i in np.flatnonzero(self.counts)}

    def measured(self, *, seed: int = 0, rounds: int = 1000) -> Measured | None:
        """Mean over all trials, with its 95 % interval by bootstrap over people; None: there are no trials."""
        value = self.value
        if value is None:
            return None
        sums, counts = (of[self.counts > 0] for of in (self.sums, self.counts))
        if len(sums) < 2:
            return Measured(value, trials=int(counts.sum()), people=len(sums))

        def mean(people: NDArray[np.int64]) -> float:
            return float(sums[people].sum() / counts[people].sum())

        low, high = bootstrap(mean, np.arange(len(sums)), rng=np.random.default_rng(seed), rounds=rounds)
        return Measured(value, low, high, trials=int(counts.sum()), people=len(sums))
