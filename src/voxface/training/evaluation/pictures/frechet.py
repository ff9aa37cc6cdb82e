"""Fréchet distance between two sets of pictures by their features, "FID-like" (Heusel et al. 2017, Eq. 6).

It is not the FID of the literature, whose features come from an Inception network trained on ImageNet; its weights cannot be
shipped here, and it knows little about faces of 64 pixels. Here the features come from a `PictureJudge` (64 numbers) or from an
image→3DMM expert, so the numbers can be compared within one benchmark only.

The distance is biased: between two samples of one distribution it is not 0 but falls with about 1/N, at a rate that depends on
the distribution. Compare sets of the same N, and beside them the distance between two halves of the real pictures, below which
no distance is to be expected.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxface.runtime.errors import InputError

Array = NDArray[np.float64]
Features = Callable[[Tensor], Tensor]


def frechet_distance(
    mean_a: Array, covariance_a: Array, mean_b: Array, covariance_b: Array
) -> float:  # Heusel 2017, Eq. 6; Dowson & Landau 1982
    """Squared Fréchet distance of two Gaussians, ‖μa − μb‖² + tr(A + B − 2·(A^½ B A^½)^½).

    The trace of the root is the sum of the roots of the eigenvalues of A^½ B A^½, which is symmetric and positive
    semi-definite. So there are no complex numbers, and singular covariances are no special case.

    Args:
        mean_a, mean_b: float64 [d].
        covariance_a, covariance_b: float64 [d, d], symmetric, positive semi-definite.

    Raises:
        InputError: shapes do not fit, or a number is not finite.
    """
    d = len(mean_a)
    if mean_b.shape != (d,) or covariance_a.shape != (d, d) or covariance_b.shape != (d, d):
        raise InputError(f"Fréchet distance: features of {d} and {len(mean_b)} numbers cannot be compared")
    if not all(np.isfinite(x).all() for x in (mean_a, covariance_a, mean_b, covariance_b)):
        raise InputError("Fréchet distance: a feature is NaN or infinite")
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    product = root @ covariance_b @ root
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0.0)).sum()
    apart = ((mean_a - mean_b) ** 2).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross
    return max(0.0, float(apart))


def gaussian(features: Array, shrinkage: float = 0.0) -> tuple[Array, Array]:
    """Mean [d] and unbiased covariance [d, d] of features float64 [N, d].

    Args:
        shrinkage: weight, 0 to 1, of a multiple of the identity of the same trace in the covariance. With N ≤ d the sample
            covariance is singular and the distance depends mostly on N, so some shrinkage is needed.

    Raises:
        InputError: N ≤ d without shrinkage, or N < 2.
    """
    count, d = features.shape
    if not 0.0 <= shrinkage <= 1.0:
        raise InputError(f"shrinkage {shrinkage}: not within 0 and 1")
    if count < 2 or (count <= d and shrinkage == 0.0):
        raise InputError(
            f"{count} pictures are too few for a Gaussian over {d} features: give more than {max(d, 1)}, or some shrinkage"
        )
    covariance = np.cov(features, rowvar=False).reshape(d, d)
    return features.mean(0), (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)


def features_of(images: Tensor, features: Features, batch: int = 256) -> Array:
    """Features float64 [N, d] of images [N, 3, H, W], `batch` at a time, without gradients."""
    with torch.no_grad():
        rows = [features(images[k : k + batch]).double().cpu().numpy() for k in range(0, len(images), batch)]
    return np.concatenate(rows)


def picture_distance(a: Tensor, b: Tensor, features: Features, shrinkage: float = 0.0) -> float:
    """FID-like distance of two sets of images [N, 3, H, W] in [-1, 1]; the module's docstring says how to read it.

    Args:
        a, b: images.
        features: function images -> features [N, d].
        shrinkage: see `gaussian`.

    Raises:
        InputError: too few pictures; see `gaussian`.
    """
    sides = [gaussian(features_of(images, features), shrinkage) for images in (a, b)]
    return frechet_distance(*sides[0], *sides[1])
