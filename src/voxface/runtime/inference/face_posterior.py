"""What a voice tells of a face is a distribution of faces: its spread, draws from it, and how little it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.face_posterior import FacePosteriorWeights
from voxface.runtime.errors import BundleError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
MOST_SAMPLES: Final = 100_000
_RESAMPLED: Final = 1000  # times that the speakers are resampled for an interval
_AT_ONCE: Final = 50  # of these, a divisor: a bundle may have so many speakers that all would take half a gigabyte


@dataclass(frozen=True)
class Told:
    """How much of the variance of a length, or of a whole face, a voice tells: 1 − posterior variance / population variance.

    Attributes:
        share: beside the variance among all adults, half of them women; below 0 where the voice leaves more open than that.
        low, high: its 95 % interval, of a bootstrap over the speakers that the posterior was fitted to. It says how well the
            fit knows this voice encoder, and not whether real faces go with voices as in the world that it learnt from.
        within_sex: beside the variance within the sex that is heard.
    """

    share: float
    low: float
    high: float
    within_sex: float


@dataclass(frozen=True, eq=False)
class FacePosterior:
    """The distribution of the faces of people with such a voice.

    It is a mixture of two Gaussians over the identity coefficients, one for each sex; expressions stay those of the mean.
    Nothing is computed before it is asked for.

    Attributes:
        mean: float32 [P], the estimate's coefficients.
        female: the probability that the speaker is a woman.
        weights: the covariances.
        model: the morphable model of the coefficients.
        decades: by how much the faces age, see `MorphableModel.vertices`; how far off the age may be is not counted.
    """

    mean: Float32
    female: float
    weights: FacePosteriorWeights
    model: MorphableModel
    decades: Float32 | None = None

    def __post_init__(self) -> None:
        if self.weights.modes != self.model.identity_modes:
            raise BundleError(
                f"the face posterior is of {self.weights.modes} identity coefficients, the morphable model has "
                f"{self.model.identity_modes}; export or download the bundle again"
            )

    def sample(self, n: int, seed: int = 0) -> Float32:
        """Coefficients float32 [n, P] of n people with such a voice; the first of them do not depend on n.

        Raises:
            UsageError: n is negative, or more than `MOST_SAMPLES`, or the seed is negative.
        """
        if not 0 <= n <= MOST_SAMPLES:
            raise UsageError(f"{n} samples: 0 to {MOST_SAMPLES}")
        if seed < 0:
            raise UsageError(f"seed {seed}: not negative")
        women = np.random.default_rng([seed, 0]).random(n) < self.female
        # As many numbers for a woman as for a man, so that the first draws do not depend on the sexes of the others.
        rows = self.weights.unexplained.shape[1]
        noise = np.random.default_rng([seed, 1]).standard_normal((n, rows + len(self.weights.errors)))
        drawn = np.repeat(self.mean[None].astype(np.float64), n, axis=0)
        for sex, own in enumerate((women, ~women)):
            drawn[own] += self._means[sex]
            drawn[own, : self.weights.modes] += noise[own, :rows] @ self.weights.unexplained[sex]
            of_sex = self.weights.error_sex == sex
            drawn[own, : self.weights.modes] += noise[own, rows:][:, of_sex] @ self.weights.errors[of_sex]
        return drawn.astype(np.float32)

    def sample_vertices(self, n: int, seed: int = 0) -> Float32:
        """Vertices float32 [n, N, 3] in millimetres of `sample(n, seed)`; 0.13 MB each with the default face model."""
        return self.model.vertices(self.sample(n, seed), self.decades)

    @cached_property
    def covariance(self) -> Float64:
        """The covariance float64 [P, P] of the coefficients, zero for expressions."""
        modes, weights = self.weights.modes, self.weights
        whole = np.zeros((self.model.modes, self.model.modes))
        for sex, chance in enumerate(self._chances):
            for rows in (weights.unexplained[sex], weights.errors[weights.error_sex == sex]):
                whole[:modes, :modes] += chance * (rows.T.astype(np.float64) @ rows)
        return whole + self.female * (1 - self.female) * np.outer(self._apart, self._apart)

    @cached_property
    def vertex_sd_mm(self) -> Float32:
        """How far vertices lie from their place in the mean face: root mean square distance, float32 [N], millimetres."""
        modes = self.weights.modes
        flat = self.model.basis[:modes].reshape(modes, -1)
        variance = np.einsum("km,km->m", self.covariance[:modes, :modes].astype(np.float32) @ flat, flat)
        spread: Float32 = np.sqrt(np.maximum(variance, 0).reshape(-1, 3).sum(1))
        return spread

    @cached_property
    def measurements_sd_mm(self) -> dict[str, float]:
        """Standard deviation of every measurement, in millimetres, linear about the mean face (`measurement_slopes`)."""
        slopes = self._slopes
        variance = np.einsum("mp,pq,mq->m", slopes, self.covariance, slopes)
        return dict(zip(self.model.measurements, np.sqrt(np.maximum(variance, 0)).tolist(), strict=True))

    @cached_property
    def told(self) -> dict[str, Told]:
        """How much the voice tells of every measurement."""
        return dict(zip(self.model.measurements, self._told(lambda rows: rows @ self._slopes.T), strict=True))

    @cached_property
    def told_of_mesh(self) -> Told:
        """How much the voice tells of the whole mesh: of the squared distances of all vertices."""
        return self._told(
            lambda rows: np.linalg.norm(self.model.place(rows.astype(np.float32)), axis=-1, keepdims=True)
        )[0]

    def probability_below(self, measurements: NDArray[np.floating]) -> Float64:
        """The probability that each measurement is smaller: float64 [D, M] of millimetres [D, M], in the order of the model's
        `measurements`."""
        here = np.array(list(self.model.measurements_of(self.mean, self.decades).values()))
        below = np.zeros(np.shape(measurements))
        _, variances, _, _ = self._variances(lambda rows: rows @ self._slopes.T)
        for chance, step, variance in zip(self._chances, self._means @ self._slopes.T, variances, strict=True):
            off = (measurements - here - step) / np.sqrt(np.maximum(2 * variance, 1e-12))
            below += chance * 0.5 * (1 + _erf(off))
        return below

    @property
    def _chances(self) -> tuple[float, float]:
        return self.female, 1 - self.female

    @cached_property
    def _apart(self) -> Float64:
        """The mean woman less the mean man, float64 [P]."""
        return self._whole((self.model.sex_means[0] - self.model.sex_means[1])[: self.weights.modes])

    @property
    def _means(self) -> Float64:
        """The mean faces of women and of men with such a voice, less the mean of all, float64 [2, P]."""
        return np.stack([(1 - self.female) * self._apart, -self.female * self._apart])

    @cached_property
    def _slopes(self) -> Float64:
        return self.model.measurement_slopes(self.mean, self.decades)

    def _whole(self, rows: NDArray[np.floating]) -> Float64:
        """Rows of P numbers, of rows of the K of identity."""
        return np.concatenate([rows, np.zeros((*rows.shape[:-1], self.model.modes - self.weights.modes))], axis=-1)

    def _variances(self, project: Callable[[Float64], Float64]) -> tuple[Float64, Float64, Float64, list[Float64]]:
        """Variances of M features, which `project` gives of rows of coefficients.

        Returns:
            float64 [2, M] of the population of each sex, and of people of each sex with such a voice; float64 [M] the squared
            distance between the mean woman and the mean man; for each sex float64 [S, M], each speaker's part in the error.
        """
        weights = self.weights
        population, unexplained = (
            np.stack([np.square(project(self._whole(factor))).sum(0) for factor in factors])
            for factors in (weights.population, weights.unexplained)
        )
        parts = []
        for sex in (0, 1):
            own = weights.error_sex == sex
            squares = np.square(project(self._whole(weights.errors[own])))
            speakers, which = np.unique(weights.error_speaker[own], return_inverse=True)
            of_speakers = np.zeros((len(speakers), squares.shape[1]))
            np.add.at(of_speakers, which, squares)
            parts.append(of_speakers)
        total = unexplained + np.stack([part.sum(0) for part in parts])
        return population, total, np.square(project(self._apart[None]))[0], parts

    def _told(self, project: Callable[[Float64], Float64]) -> list[Told]:
        population, total, apart, parts = self._variances(project)
        chances = np.array(self._chances)
        between = self.female * (1 - self.female) * apart
        everybody, own = population.mean(0) + apart / 4, chances @ population
        drawn = np.zeros((_RESAMPLED, len(apart)))
        for sex, part in enumerate(parts):
            speakers = len(part)
            if speakers:
                rng = np.random.default_rng([sex, 2])
                for at in range(0, _RESAMPLED, _AT_ONCE):
                    counts = rng.multinomial(speakers, np.full(speakers, 1 / speakers), _AT_ONCE)
                    drawn[at : at + _AT_ONCE] += chances[sex] * ((counts - 1) @ part)
        posterior = chances @ total + between
        most, least = np.quantile(posterior + drawn, (0.975, 0.025), axis=0)

        def share(of: Float64, whole: Float64) -> Float64:
            return np.where(whole > 0, 1 - of / np.where(whole > 0, whole, 1), 0.0)  # nothing, of what does not vary

        columns = (
            share(posterior, everybody),
            share(most, everybody),
            share(least, everybody),
            share(chances @ total, own),
        )
        return [Told(*map(float, row)) for row in np.stack(columns, axis=1)]


def told_json(told: Told) -> dict[str, float]:
    """`Told` as JSON."""
    return {"share": told.share, "low": told.low, "high": told.high, "within_sex": told.within_sex}


def posterior_json(posterior: FacePosterior) -> dict[str, Any]:
    """What `report.json` says of the posterior."""
    return {
        "measurements_sd_mm": posterior.measurements_sd_mm,
        "told": {name: told_json(told) for name, told in posterior.told.items()},
        "told_of_mesh": told_json(posterior.told_of_mesh),
    }


def _erf(x: Float64) -> Float64:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))
