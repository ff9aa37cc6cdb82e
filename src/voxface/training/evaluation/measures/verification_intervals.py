"""Equal error rate and area under the ROC of trials of verification, with intervals over people and not over trials."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.result import Measured

Float64 = NDArray[np.float64]
ROUNDS: Final = 300


@dataclass(frozen=True)
class Rates:
    """Equal error rate (EER) and area under the ROC (AUC) of trials."""

    eer: Measured
    auc: Measured


@dataclass(frozen=True)
class SortedTrials:
    """Scores in ascending order, once for all draws of a bootstrap.

    Attributes:
        order: int64 [T], the trials by ascending score.
        last: int64 [V], place in `order` of the last trial of each distinct score.
        same: bool [T], in that order.
    """

    order: NDArray[np.int64]
    last: NDArray[np.int64]
    same: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: NDArray[np.floating[Any]], same: NDArray[np.bool_]) -> "SortedTrials":
        """Sorts trials.

        Raises:
            ValueError: a score is not a number.
        """
        if np.isnan(scores).any():
            raise ValueError("a score is not a number")
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        return cls(order, np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1), same[order])

    def rates(self, weight: Float64 | None = None) -> tuple[float, float]:
        """EER and AUC as `verification.eer` and `auc` compute them; NaN where a kind of trials has no weight.

        Args:
            weight: how often each trial counts, [T] in the order in which they were given; None: once.
        """
        heavy = np.ones(len(self.order)) if weight is None else weight[self.order]
        below_same, below_different = (
            np.concatenate(([0.0], np.cumsum(np.where(kind, heavy, 0))[self.last])) for kind in (self.same, ~self.same)
        )
        if not (below_same[-1] > 0 and below_different[-1] > 0):
            return float("nan"), float("nan")
        refused, accepted = below_same / below_same[-1], 1 - below_different / below_different[-1]
        step = np.diff(refused)
        auc = float(step @ (1 - (accepted[:-1] + accepted[1:]) / 2))
        after = int(np.argmax(refused >= accepted))
        gap, next_gap = (accepted - refused)[[after - 1, after]]
        share = gap / (gap - next_gap)
        return float(refused[after - 1] + share * (refused[after] - refused[after - 1])), auc

    def roc(self, points: int = 200) -> tuple[Float64, Float64]:
        """False and true acceptances at thresholds from high to low, thinned to some `points`."""
        same = np.concatenate(([0], np.cumsum(self.same)[self.last])) / self.same.sum()
        different = np.concatenate(([0], np.cumsum(~self.same)[self.last])) / (~self.same).sum()
        at = np.unique(np.linspace(0, len(same) - 1, points).round().astype(int))[::-1]
        return 1 - different[at], 1 - same[at]


def rates_by_person(
    trials: SortedTrials,
    one: NDArray[np.integer[Any]],
    other: NDArray[np.integer[Any]] | None = None,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> Rates:
    """EER and AUC with 95 % intervals by bootstrap over people.

    Where a draw has a person k times, a trial counts as often as its people are drawn: k times, or k · l where both of its
    sides are drawn, as if their recordings had been copied; no recording is compared with its copy.

    Args:
        one: int [T], whose a trial is, numbered from 0; in a trial of two voices, whose the first one is.
        other: int [T], whose the second one is; None: only `one` is drawn.

    Raises:
        ValueError: trials of one kind are lacking.
    """
    eer, auc = trials.rates()
    if np.isnan(eer):
        raise ValueError("trials of the same and of different people are needed")
    people = np.unique(one if other is None else np.concatenate((one, other)))
    place = [np.searchsorted(people, side) for side in ((one,) if other is None else (one, other))]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rounds):
        drawn = np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people)).astype(np.float64)
        weight = drawn[place[0]]
        found.append(trials.rates(weight if other is None else weight * drawn[place[1]]))
    table = np.array(found)
    if np.isnan(table).all():
        raise ValueError("too few people for an interval")
    low, high = np.nanquantile(table, (0.025, 0.975), axis=0)
    count = len(trials.order)
    return Rates(
        Measured(eer, float(low[0]), float(high[0]), trials=count, people=len(people)),
        Measured(auc, float(low[1]), float(high[1]), trials=count, people=len(people)),
    )
