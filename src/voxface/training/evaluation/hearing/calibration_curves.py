"""Calibration of probabilities: do things that are given 80 % happen eight times in ten?"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 5


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about one probability.

    Attributes:
        predicted: their mean probability.
        observed: how often what they predict happened.
        count: how many.
    """

    predicted: float
    observed: float
    count: int


def reliability(
    probability: NDArray[np.floating[Any]], happened: NDArray[np.bool_], bins: int = BINS
) -> list[ReliabilityBin]:
    """Predictions in bins of equal width from 0 to 1; empty bins are left out.

    Raises:
        ValueError: shapes differ, there are none, or a probability lies outside 0 to 1.
    """
    if probability.shape != happened.shape or probability.ndim != 1 or not len(probability):
        raise ValueError(
            f"shapes {probability.shape} and {happened.shape} are not one probability and one outcome each"
        )
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability lies outside 0 to 1")
    place = np.minimum((probability * bins).astype(int), bins - 1)
    found = []
    for k in range(bins):
        own = place == k
        if own.any():
            found.append(ReliabilityBin(float(probability[own].mean()), float(happened[own].mean()), int(own.sum())))
    return found


def expected_calibration_error(
    probability: NDArray[np.floating[Any]], happened: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Mean distance of a bin's probability from how often it came true, weighted by the bins' predictions (Guo et al. 2017)."""
    rows = reliability(probability, happened, bins)
    return sum(row.count * abs(row.predicted - row.observed) for row in rows) / len(probability)


def rank_correlation(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; 0 where one side does not vary.

    Raises:
        ValueError: shapes differ, or fewer than two numbers.
    """
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        raise ValueError(f"shapes {one.shape} and {other.shape} are not two numbers each of two people or more")
    a, b = (_ranks(side) - (len(side) + 1) / 2 for side in (one, other))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean: NDArray[np.float64] = (last - (count - 1) / 2)[place]
    return mean
