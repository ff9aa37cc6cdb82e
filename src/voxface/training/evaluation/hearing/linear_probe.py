"""Linear probes: what a straight line reads off embeddings, learnt on other people."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def ridge_probe(
    rows: NDArray[np.floating[Any]], wanted: NDArray[np.floating[Any]], strength: float = 1e-2
) -> Callable[[NDArray[np.floating[Any]]], Float64]:
    """Linear least squares with a constant, its weights kept small.

    Args:
        rows: [N, E].
        wanted: [N].
        strength: of the penalty, as a share of the mean variance of a column.

    Returns:
        Function of rows [M, E] that gives numbers [M].

    Raises:
        ValueError: there are no rows, or a number is not finite.
    """
    known, target = np.asarray(rows, np.float64), np.asarray(wanted, np.float64)
    if not len(known) or not (np.isfinite(known).all() and np.isfinite(target).all()):
        raise ValueError(f"{len(known)} rows; some are needed, and finite")
    mean = known.mean(0)
    inner = (known - mean).T @ (known - mean) / len(known)
    penalty = strength * np.trace(inner) / len(inner) * np.eye(len(inner))
    weights = np.linalg.solve(
        inner + penalty + 1e-12 * np.eye(len(inner)), (known - mean).T @ (target - target.mean()) / len(known)
    )
    return lambda new: np.asarray((np.asarray(new, np.float64) - mean) @ weights + target.mean())


def side_probe(
    rows: NDArray[np.floating[Any]], second: NDArray[np.bool_], strength: float = 1e-2
) -> Callable[[NDArray[np.floating[Any]]], NDArray[np.bool_]]:
    """Which of two classes rows are of; the threshold lies midway between the classes' means, however frequent each is.

    Args:
        second: bool [N], whether each row is of the second class.

    Raises:
        ValueError: there are no rows of one class.
    """
    if second.all() or not second.any():
        raise ValueError("rows of both classes are needed")
    told = ridge_probe(rows, np.where(second, 1.0, -1.0), strength)
    middle = np.mean([told(rows[second]).mean(), told(rows[~second]).mean()])
    return lambda new: told(new) > middle
