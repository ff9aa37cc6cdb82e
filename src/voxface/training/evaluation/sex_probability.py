"""Probabilities that mean what they say: how steeply the evidence of a generated mesh speaks for its speaker's sex."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from voxface.training.evaluation.held_out import HeldOut

_STEEPEST: Final = 1e3
_FLATTEST: Final = 1e-3


def slope(evidence: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The factor s with which sigmoid(s · evidence) is likeliest for the labels, 0.001 to 1000: Platt scaling without a
    shift, since no evidence has to stay no opinion.

    The labels of a class of n are drawn in to (n + 1) / (n + 2) of a full one (Platt 1999), or evidence that is right every
    time would make an infinite slope.

    Args:
        evidence: float [N], for label 1 where positive.
        labels: bool [N].
        weights: float [N], how much each counts; default: all alike.

    Raises:
        ValueError: one of the labels is missing.
    """
    x, one = np.asarray(evidence, np.float64), np.asarray(labels, bool)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    ones, zeros = float(w[one].sum()), float(w[~one].sum())
    if not ones or not zeros:
        raise ValueError("a slope needs examples of both labels")
    target = np.where(one, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def rises(s: float) -> bool:
        return float((w * x * (_sigmoid(s * x) - target)).sum()) > 0

    # The loss is convex: where it falls, s is too small.
    low, high = np.log(_FLATTEST), np.log(_STEEPEST)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(float(np.exp(middle))) else (middle, high)
    return float(np.exp((low + high) / 2))


def log_loss(evidence: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean of -log of the probability that sigmoid(evidence) gives to the label that holds; a coin gets 0.693."""
    x = np.where(np.asarray(labels, bool), 1, -1) * np.asarray(evidence, np.float64)
    return float(np.average(np.logaddexp(0, -x), weights=None if weights is None else np.asarray(weights, np.float64)))


def sex_calibration(held: HeldOut | None, network: nn.Module) -> dict[str, Any]:
    """What a bundle says of sex by a network embedding -> coefficients: the slope for `read_attributes`, on people it has
    not learnt from; each person counts once.

    Returns:
        {"sex_slope", "people", "log_loss": {"at_slope_1", "calibrated", "coin"}}; empty without people of both sexes.
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
    found = slope(evidence, female, weights)
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
