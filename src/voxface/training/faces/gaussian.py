"""Gaussians over shape parameters, adjusted so that measures of the shapes have given means and covariances."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Measure = Callable[[Matrix], Matrix]


@dataclass(frozen=True)
class Gaussian:
    """Mean float64 [K] and covariance float64 [K, K]."""

    mean: Matrix
    covariance: Matrix

    def sample(self, count: int, rng: np.random.Generator) -> Matrix:
        """Draws float64 [count, K]."""
        return self.mean + rng.standard_normal((count, len(self.mean))) @ square_root(self.covariance)


def match_moments(
    prior: Gaussian,
    measure: Measure,
    mean: Matrix,
    covariance: Matrix,
    rng: np.random.Generator,
    *,
    rounds: int = 4,
    samples: int = 6000,
) -> Gaussian:
    """The prior adjusted so that measures of its samples have this mean [M] and covariance [M, M].

    In each round the measures are linearised at the mean (Jacobian J). The Gaussian is conditioned on the measures, which then
    get their wanted distribution: with gain G = ΣJᵀ(JΣJᵀ)⁻¹, Σ' = Σ − GJΣ + G C Gᵀ. Directions that no measure depends on keep
    the prior. The error due to curvature of the measures is estimated by sampling and subtracted from the wanted moments.

    Args:
        measure: float64 [S, K] parameters → float64 [S, M] measures.
    """
    wanted_mean, wanted_covariance = mean.copy(), _positive(covariance)
    moved = prior
    noise = rng.standard_normal((samples, len(prior.mean)))
    noise -= noise.mean(axis=0)
    noise = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / samples)).T
    for _ in range(rounds):
        jacobian = _jacobian(measure, moved.mean, np.sqrt(np.diag(prior.covariance)))
        seen = jacobian @ prior.covariance @ jacobian.T
        gain = np.linalg.solve(seen, jacobian @ prior.covariance).T
        middle = prior.mean + gain @ (wanted_mean - measure(prior.mean[None])[0])
        # One Newton step on the curved measures, so that the mean face itself has the wanted measures.
        middle = middle + gain @ (wanted_mean - measure(middle[None])[0])
        spread = prior.covariance - gain @ jacobian @ prior.covariance + gain @ wanted_covariance @ gain.T
        moved = Gaussian(middle, (spread + spread.T) / 2)
        got = measure(moved.mean + noise @ square_root(moved.covariance).T)
        wanted_mean = wanted_mean + (mean - got.mean(axis=0))
        wanted_covariance = _positive(wanted_covariance + (covariance - np.cov(got.T)))
    return moved


def square_root(covariance: Matrix) -> Matrix:
    """A symmetric square root float64 [K, K]; eigenvalues below zero, which rounding may leave, count as zero."""
    values, vectors = np.linalg.eigh(covariance)
    root: Matrix = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def _jacobian(measure: Measure, at: Matrix, step: Matrix) -> Matrix:
    """d measure / d parameter, float64 [M, K], by central differences of a hundredth of `step` [K]."""
    h = np.diag(0.01 * np.where(step > 0, step, 1.0))
    slopes: Matrix = ((measure(at + h) - measure(at - h)) / (2 * np.diag(h)[:, None])).T
    return slopes


def _positive(covariance: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    positive: Matrix = (vectors * np.clip(values, 1e-3 * values.max() * 1e-3, None)) @ vectors.T
    return positive
