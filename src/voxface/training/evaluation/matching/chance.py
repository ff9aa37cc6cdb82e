"""What retrieval gives where the gallery is ranked at random, exactly: the trivial rows of its tables."""

import math
from collections.abc import Sequence

import numpy as np


def chance_precision(right: int, gallery: int) -> float:
    """Expected average precision of a gallery in random order that holds so many right items.

    An item at rank i is right with probability R / N; then (i − 1) (R − 1) / (N − 1) of those before it are, on average.

    Raises:
        ValueError: not 1 ≤ right ≤ gallery.
    """
    _check(right, gallery)
    if gallery == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, gallery + 1)).sum())
    return (harmonic + (right - 1) / (gallery - 1) * (gallery - harmonic)) / gallery


def chance_recall(right: int, gallery: int, at: int) -> float:
    """Chance that a right item is among the first `at` of a gallery in random order.

    Raises:
        ValueError: not 1 ≤ right ≤ gallery.
    """
    _check(right, gallery)
    if at > gallery - right:
        return 1.0
    return -math.expm1(math.fsum(math.log1p(-right / (gallery - k)) for k in range(at)))


def mean_chance(rights: Sequence[int], galleries: Sequence[int], at: int | None = None) -> float:
    """Mean over queries with so many right items in galleries of such sizes: average precision, or the recall at a rank."""
    kinds, count = np.unique(np.stack([rights, galleries]), axis=1, return_counts=True)
    each = [chance_precision(int(r), int(n)) if at is None else chance_recall(int(r), int(n), at) for r, n in kinds.T]
    return float(np.average(each, weights=count))


def _check(right: int, gallery: int) -> None:
    if not 1 <= right <= gallery:
        raise ValueError(f"{right} right items in a gallery of {gallery}")
