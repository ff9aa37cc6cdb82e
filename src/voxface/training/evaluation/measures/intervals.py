"""Confidence intervals of shares (Wilson) and of statistics over speakers (bootstrap)."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959963984540054


def wilson(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Confidence interval of a share, successes out of n (Wilson 1927); 95 % with the default z.

    Raises:
        ValueError: not 0 ≤ successes ≤ n, or n is 0.
    """
    if not (0 <= successes <= n and n > 0):
        raise ValueError(f"{successes} successes out of {n}")
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(successes * (n - successes) / n + z * z / 4))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    statistic: Callable[..., float],
    *clusters: Sequence[str] | ArrayLike,
    rng: np.random.Generator,
    rounds: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Bootstrap interval of a statistic that resamples whole clusters, because recordings of one speaker are not independent.

    Args:
        statistic: function of one array of row numbers for each of `clusters`, in which rows may be repeated. It returns NaN
            where a draw leaves nothing to compute; such draws are left out.
        clusters: for each sample, the label [N] of every row (its speaker).
        rng: random generator.
        rounds: number of draws.
        level: coverage of the interval.

    Returns:
        (low, high), the percentiles that leave (1 − level) / 2 on either side.

    Raises:
        ValueError: no rows, or a statistic that is always NaN.
    """
    rows = [_rows(labels) for labels in clusters]
    values = []
    for _ in range(rounds):
        drawn = [np.concatenate([of[k] for k in rng.integers(len(of), size=len(of))]) for of in rows]
        values.append(statistic(*drawn))
    if np.isnan(values).all():
        raise ValueError("the statistic is never a number")
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _rows(labels: Sequence[str] | ArrayLike) -> list[NDArray[np.int64]]:
    """Row numbers of each cluster."""
    names, which = np.unique(np.asarray(labels), return_inverse=True)
    if not len(names):
        raise ValueError("no rows")
    return [np.flatnonzero(which == k) for k in range(len(names))]
