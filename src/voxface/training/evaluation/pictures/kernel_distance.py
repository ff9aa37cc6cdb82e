"""Kernel distance between two sets of pictures by their features, KID (Bińkowski et al. 2018, §4): unbiased, however few.

KID is the squared maximum mean discrepancy with the kernel k(x, y) = (xᵀy/d + 1)³ on features of d numbers. Its estimate
averages 0 between samples of one distribution and may be negative. Like the Fréchet distance, it depends on the network.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError

Float64 = NDArray[np.float64]
SUBSETS: Final = 100
LARGEST: Final = 1000  # pictures of a subset, as published
_MOST: Final = 4000  # pictures that one kernel matrix is of


@dataclass(frozen=True)
class KernelDistance:
    """KID of two sets.

    Attributes:
        value: of all pictures.
        sd: standard deviation over subsets of half of the pictures, at most `LARGEST` (the published way has `LARGEST`).
    """

    value: float
    sd: float


def kernel_distance(a: Float64, b: Float64, *, seed: int = 0) -> KernelDistance:
    """KID of features float64 [M, d] and [N, d].

    Raises:
        InputError: fewer than two pictures, features of different networks, or a number that is not finite.
    """
    if min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise InputError(f"kernel distance: {a.shape} and {b.shape} are not two or more features of one network each")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("kernel distance: a feature is NaN or infinite")
    rng = np.random.default_rng([seed, 43])
    a, b = (of[np.sort(rng.permutation(len(of))[:_MOST])] for of in (a, b))
    aa, bb, ab = (_kernel(x, y) for x, y in ((a, a), (b, b), (a, b)))
    m, n = (min(LARGEST, max(2, len(of) // 2)) for of in (a, b))
    drawn = []
    for _ in range(SUBSETS):
        i, j = rng.permutation(len(a))[:m], rng.permutation(len(b))[:n]
        drawn.append(_unbiased(aa[np.ix_(i, i)], bb[np.ix_(j, j)], ab[np.ix_(i, j)]))
    return KernelDistance(_unbiased(aa, bb, ab), float(np.std(drawn)))


def _kernel(x: Float64, y: Float64) -> Float64:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3, np.float64)


def _unbiased(aa: Float64, bb: Float64, ab: Float64) -> float:
    m, n = len(aa), len(bb)
    within = (aa.sum() - np.trace(aa)) / (m * (m - 1)) + (bb.sum() - np.trace(bb)) / (n * (n - 1))
    return float(within - 2 * ab.mean())
