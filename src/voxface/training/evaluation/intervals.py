"""How far a measured number can be trusted: intervals for shares, and for statistics of speakers."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959963984540054


def wilson(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of a share, successes out of n (Wilson 1927); 95 % unless told otherwise.

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
    """Interval of a statistic by drawing whole clusters anew: recordings of one speaker are no independent witnesses.

    Args:
        statistic: of one array of row numbers for each of `clusters`; a row may come several times. NaN, where a draw
            leaves nothing to compute, is left out.
        clusters: for each sample, the label [N] of every row (its speaker).

    Returns:
        The percentiles that leave (1 - level) / 2 on either side.

    Raises:
        ValueError: no rows, or a statistic that is never a number.
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
