"""Whether a difference is more than chance: between two methods on the same people, and between people and trivial guesses."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
_NUMBERS = 1 << 22  # random numbers at a time


@dataclass(frozen=True)
class Difference:
    """A mean difference over people.

    Attributes:
        value: mean of A − B.
        low, high: its 95 % interval (bootstrap over people).
        p_value: chance of a difference at least as large, either way, if each person's might as well have had the other sign.
        people: how many.
    """

    value: float
    low: float
    high: float
    p_value: float
    people: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "difference": self.value,
            "interval": [self.low, self.high],
            "p_value": self.p_value,
            "people": self.people,
        }


def paired_difference(
    a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], *, seed: int = 0, rounds: int = 10_000
) -> Difference:
    """Compares two methods on the same people, one number [N] a person and method, in the same order.

    Raises:
        ValueError: shapes differ, fewer than two people, or a number is not finite.
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"shapes {a.shape} and {b.shape} are not one number a person")
    if len(a) < 2:
        raise ValueError("a difference needs two people at least")
    difference = np.asarray(a, np.float64) - b
    if not np.isfinite(difference).all():
        raise ValueError("a number is not finite")
    n, mean = len(difference), float(difference.mean())
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([difference[rng.integers(n, size=(k, n))].mean(1) for k in _parts(rounds, n)])
    turned = np.concatenate([(rng.choice((-1.0, 1.0), size=(k, n)) * difference).mean(1) for k in _parts(rounds, n)])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Difference(mean, float(low), float(high), _p_value(np.abs(turned), abs(mean)), n)


def shuffled_p_value(
    predicted: NDArray[np.floating[Any]],
    measured: NDArray[np.floating[Any]],
    *,
    within: NDArray[np.integer[Any]] | None = None,
    seed: int = 0,
    rounds: int = 10_000,
) -> float:
    """Chance of errors as small as these if voices and faces were dealt out anew (one-sided permutation test).

    Args:
        predicted, measured: one measure of each person [N].
        within: a group of each person [N], as the sex: shuffled only among people of one group, so that knowing the group
            gains nothing.

    Raises:
        ValueError: shapes differ, fewer than two people, or a number is not finite.
    """
    group = np.zeros(len(predicted), np.int64) if within is None else within
    if not (predicted.shape == measured.shape == group.shape) or predicted.ndim != 1:
        raise ValueError(f"shapes {predicted.shape}, {measured.shape} and {group.shape} are not one number a person")
    if len(predicted) < 2:
        raise ValueError("a permutation needs two people at least")
    if not (np.isfinite(predicted).all() and np.isfinite(measured).all()):
        raise ValueError("a number is not finite")
    error = float(np.abs(predicted - measured).mean())
    rng = np.random.default_rng(seed)
    order = np.argsort(group, kind="stable")
    predicted, measured = predicted[order], measured[order]
    places = [*np.unique(group[order], return_index=True)[1].tolist(), len(group)]
    shuffled = []
    for k in _parts(rounds, len(group)):
        total = np.zeros(k)
        for begin, end in pairwise(places):
            dealt = rng.permuted(np.tile(measured[begin:end], (k, 1)), axis=1)
            total += np.abs(dealt - predicted[begin:end]).sum(1)
        shuffled.append(total / len(group))
    return _p_value(-np.concatenate(shuffled), -error)


def _parts(rounds: int, width: int) -> list[int]:
    """How many rounds to draw at a time, so that memory does not grow with them."""
    size = max(1, _NUMBERS // width)
    return [min(size, rounds - begin) for begin in range(0, rounds, size)]


def _p_value(drawn: Float64, found: float) -> float:
    """Share of draws at least as large as what was found, which counts as one of them (so that it is never 0)."""
    near = 1e-12 * max(1.0, abs(found))
    return float((1 + (drawn >= found - near).sum()) / (1 + len(drawn)))
