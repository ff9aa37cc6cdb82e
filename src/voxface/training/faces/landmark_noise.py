"""How far off the landmarks of a face are, estimated from what a fit leaves over.

Nobody knows the noise of landmarks in pixels: it goes with the size of the face, and with what found them. On six photographs
with hand marks (`docs/fitting.md`) a network's landmarks are off by 2.9 % of the distance between the outer eye corners along
each axis, and the marks themselves from where a model has its landmarks by 3.8 %. These errors are not independent, as a fit
takes them to be: neighbours are off together, and most of what is between marks and model is the same in every face. Along the
modes of a face they have 6.4 times the variance that they would have on their own. So the noise that a fit is told is that of
the residuals times the root of that; with less it bends the face to errors that no face has.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.camera import Array
from voxface.training.faces.fitting import FitResult, LandmarkFitter

USUAL: Final = 0.03  # of the distance between the outer eye corners, along each axis
TOGETHER: Final = 2.5  # the root of 6.4, see above
WEIGHT: Final = 30.0  # landmarks' coordinates that the prior counts for; a face has 136
ROUNDS: Final = 2
# Share of the variance that is the same in all pictures of a person, because it lies between the definitions of landmarks. Of
# hand marks on six people it is 0.70, of a network's landmarks 0.86; expressions and light make it less in one person's.
SHARED: Final = 0.5
MOST_RESIDUAL: Final = 0.08  # of that distance: landmarks that no face of the model fits any better are of no face
_OUTER_CANTHI: Final = (36, 45)


def fit_with_noise(
    fitter: LandmarkFitter,
    landmarks: NDArray[np.float32] | Array,
    *,
    robust: float | None = None,
    workers: int = 1,
) -> tuple[FitResult, Array]:
    """Fits faces whose noise is not known: the fit, and the standard deviation it was told of each face, float64 [B].

    The variance has a scaled inverse χ² prior (Gelman et al. 2013, §2.6), `WEIGHT` degrees of freedom about the square of
    `USUAL` times the distance between the outer eye corners of the fitted head, turned to the front. Its mode, times
    `TOGETHER`², is what the fit is told. Fit and estimate take turns.

    Args:
        landmarks: float [B, 68, D], see `LandmarkFitter.fit`.
        robust, workers: see there.

    Raises:
        UsageError: see `LandmarkFitter.fit`.
    """
    given = np.asarray(landmarks, np.float64)
    if not len(given):
        return fitter.fit(given), np.zeros(0)
    # As wide as the whole face is high or wide: enough for a first pose, whichever way the head is turned.
    sigma = np.maximum(TOGETHER * USUAL * 0.6 * np.ptp(given, axis=1).max(1), np.finfo(np.float32).tiny)
    result = fitter.fit(given, sigma[:, None], robust=robust, workers=workers)
    for _ in range(ROUNDS):
        sigma = _estimate(fitter, result, given.shape[2])
        result = fitter.fit(given, sigma[:, None], robust=robust, workers=workers, start=result)
    return result, sigma


def eye_distance(fitter: LandmarkFitter, result: FitResult) -> Array:
    """Distance between the outer eye corners of the fitted heads seen from the front, in the landmarks' unit: float64 [B]."""
    corners = fitter.model.landmarks[list(_OUTER_CANTHI)]
    mean = fitter.model.mean[corners].astype(np.float64)
    basis = fitter.model.basis[:, corners].astype(np.float64)
    apart = (mean[1] - mean[0]) + np.tensordot(
        result.coefficients.astype(np.float64), basis[:, 1] - basis[:, 0], axes=1
    )
    distance: Array = np.linalg.norm(apart, axis=1) * result.scale
    return distance


def _estimate(fitter: LandmarkFitter, result: FitResult, dimensions: int) -> Array:
    """What a fit is to be told of each face's noise, given the residuals of the fit before: float64 [B]."""
    usual = USUAL * eye_distance(fitter, result)
    numbers = 68 * dimensions
    precision = np.linalg.inv(fitter.prior.covariance)
    # Each coefficient takes up as much of the residuals as the landmarks determine of it; sigma was too large for that by
    # `TOGETHER`, so this counts too few, and the noise comes out a little large.
    determined = len(fitter.prior.mean) - np.einsum("bpq,qp->b", result.covariance, precision)
    free = numbers - determined - result.pose_covariance.shape[1]
    squares = np.square(result.residual_px) * numbers
    variance = (WEIGHT * usual**2 + squares) / (WEIGHT + np.maximum(free, 1) + 2)
    return np.asarray(TOGETHER * np.sqrt(variance), np.float64)


def relative_residual(fitter: LandmarkFitter, result: FitResult) -> Array:
    """Residual of each fit as a share of the distance between the outer eye corners, float64 [B]."""
    share: Array = result.residual_px / np.maximum(eye_distance(fitter, result), 1e-12)
    return share


def of_one_person(
    results: FitResult, prior_mean: Array, prior_covariance: Array, identity_modes: int
) -> tuple[Array, Array]:
    """Identity of one person from the fits of several pictures: mean [I] and covariance [I, I] of the identity coefficients.

    Each fit is a Gaussian that holds the prior once. If their errors were independent, their product with the prior counted
    once would be that of all pictures together; since a share `SHARED` of the errors is the same in all, they count for
    B / (1 + (B − 1)·`SHARED`) pictures. Poses and expressions are each picture's own.

    Args:
        results: the fits of B ≥ 1 pictures.
        prior_mean, prior_covariance: [P] and [P, P], of the fits.
        identity_modes: I.
    """
    own = slice(identity_modes)
    prior = np.linalg.inv(prior_covariance[own, own])
    weight = 1 / (1 + (len(results.coefficients) - 1) * SHARED)
    precision, pulled = prior.copy(), prior @ prior_mean[own]
    for mean, covariance in zip(results.coefficients.astype(np.float64), results.covariance, strict=True):
        told = np.linalg.inv(covariance[own, own])
        precision += weight * (told - prior)
        pulled += weight * (told @ mean[own] - prior @ prior_mean[own])
    together = np.linalg.inv(precision)
    return together @ pulled, together
