"""Probability of a speaker's sex from a mesh: the slope with which evidence becomes a probability, fitted by Platt scaling."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from voxface.training.evaluation.geometry.held_out import HeldOut

_STEEPEST: Final = 1e3
_FLATTEST: Final = 1e-3


def sex_slope(evidence: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Factor s, 0.001 to 1000, with which sigmoid(s · evidence) is the likeliest probability of the labels (Platt 1999).

    There is no shift, so that no evidence gives a probability of one half. The target of a class of n examples is
    (n + 1) / (n + 2) and not 1, because evidence that is always right would otherwise have an infinite slope.

    Args:
        evidence: float [N], positive for label 1.
        labels: bool [N].
        weights: float [N], weight of each example; by default all weigh the same.

    Raises:
        ValueError: there are no examples of one of the labels.
    """
    x, one = np.asarray(evidence, np.float64), np.asarray(labels, bool)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    ones, zeros = float(w[one].sum()), float(w[~one].sum())
    if not ones or not zeros:
        raise ValueError("a slope needs examples of both labels")
    target = np.where(one, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def rises(s: float) -> bool:
        return float((w * x * (_sigmoid(s * x) - target)).sum()) > 0

    # The loss is convex: s is too small where the loss falls.
    low, high = np.log(_FLATTEST), np.log(_STEEPEST)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(float(np.exp(middle))) else (middle, high)
    return float(np.exp((low + high) / 2))


def log_loss(evidence: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of −log of the probability that sigmoid(evidence) gives to the true label; guessing gets 0.693."""
    x = np.where(np.asarray(labels, bool), 1, -1) * np.asarray(evidence, np.float64)
    return float(np.average(np.logaddexp(0, -x), weights=None if weights is None else np.asarray(weights, np.float64)))


def sex_slope_report(held: HeldOut | None, network: nn.Module) -> dict[str, Any]:
    """Sex slope of a network embedding -> coefficients on held-out people, which a bundle's `read_attributes` needs.

    Each person counts once, whatever the number of utterances.

    Returns:
        {"sex_slope", "people", "log_loss": {"at_slope_1", "calibrated", "coin"}}, the manifest's "calibration"; {} without
        people of both sexes.
    """
    if held is None:
        return {}
    person = held.person
    female = held.pairs.sexes[person] == 0
    if female.all() or not female.any():
        return {}
    evidence = held.sex_evidence(held.predictions(network))
    count: NDArray[np.int64] = np.bincount(person)
    weights = 1 / count[person]
    found = sex_slope(evidence, female, weights)
    return {
        "sex_slope": found,
        "people": int((count > 0).sum()),
        "log_loss": {
            "at_slope_1": log_loss(evidence, female, weights),
            "calibrated": log_loss(found * evidence, female, weights),
            "coin": float(np.log(2)),
        },
    }


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x))
