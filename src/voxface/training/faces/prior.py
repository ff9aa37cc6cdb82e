"""Priors over the coefficients of a morphable model, and what observations add to them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.camera import Array
from voxface.training.faces.population import FacePopulation


@dataclass(frozen=True)
class Prior:
    """The Gaussian N(mean, covariance) over coefficients.

    Attributes:
        mean: float64 [P].
        covariance: float64 [P, P], positive definite.
    """

    mean: Array
    covariance: Array

    @classmethod
    def unit(cls, modes: int) -> Self:
        """Unit-normal coefficients, as the identity modes of every morphable model are scaled."""
        return cls(np.zeros(modes), np.eye(modes))

    @classmethod
    def from_population(cls, model: MorphableModel, population: FacePopulation, sex: int | None = None) -> Self:
        """A population's Gaussian, of one sex (0 female, 1 male) or, without `sex`, of both with equal weights.

        Modes beyond the population's (the expressions) are unit-normal.

        Raises:
            UsageError: the population has more coefficients than the model.
        """
        known = population.mean.shape[1]
        if known > model.modes:
            raise UsageError(f"the population has {known} coefficients, model {model.name} has {model.modes}")
        prior = cls.unit(model.modes)
        mean, covariance = population.mean.astype(np.float64), population.covariance.astype(np.float64)
        if sex is None:
            apart = (mean[1] - mean[0]) / 2
            prior.mean[:known] = mean.mean(axis=0)
            prior.covariance[:known, :known] = covariance.mean(axis=0) + np.outer(apart, apart)
        else:
            prior.mean[:known] = mean[sex]
            prior.covariance[:known, :known] = covariance[sex]
        return prior


@dataclass(frozen=True)
class DeterminedSpan:
    """Directions of coefficient space in the order in which observations determine them.

    The directions are independent under both prior and posterior (generalised eigenvectors of the two covariances). Along each,
    the posterior variance is the share `remaining` of the prior's.

    Attributes:
        directions: float64 [P, P], one a column, each one prior standard deviation long, best determined first.
        remaining: float64 [P] in (0, 1], ascending.
        inverse: float64 [P, P], matrix from coefficients to amounts along the directions.
    """

    directions: Array
    remaining: Array
    inverse: Array

    def count(self, below: float = 0.01) -> int:
        """Number of directions that keep less than this share of their prior variance (0.01: a tenth of the deviation)."""
        return int((self.remaining < below).sum())

    def within(self, coefficients: NDArray[np.float32] | Array, below: float = 0.01) -> Array:
        """The part float64 [..., P] of coefficients (or their differences) in the determined directions."""
        n = self.count(below)
        part: Array = coefficients @ (self.directions[:, :n] @ self.inverse[:n]).T
        return part

    def outside(self, coefficients: NDArray[np.float32] | Array, below: float = 0.01) -> Array:
        """The part float64 [..., P] of coefficients in the other directions."""
        return coefficients - self.within(coefficients, below)


def determined_span(covariance: NDArray[np.float32] | Array, prior: Prior) -> DeterminedSpan:
    """The determined span of a posterior covariance float64 [P, P]; uncertainty of a pose fitted along with it is included."""
    values, vectors = np.linalg.eigh(prior.covariance)
    root = np.sqrt(np.clip(values, 1e-12, None))
    whiten, colour = (vectors / root).T, vectors * root
    remaining, turn = np.linalg.eigh(whiten @ covariance.astype(np.float64) @ whiten.T)
    return DeterminedSpan(colour @ turn, np.clip(remaining, 1e-12, 1.0), turn.T @ whiten)
