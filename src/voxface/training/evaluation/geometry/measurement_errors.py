"""Errors of measurements in millimetres, and whether they tell more than the speaker's sex."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.measures.significance import shuffled_p_value
from voxface.training.evaluation.result import Measured

Float64 = NDArray[np.float64]
_ROUNDS = 2000  # of a permutation test
_DRAWS = 1000  # of a bootstrap
_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Measurements:
    """One measure of S speakers.

    Attributes:
        predicted, true: float64 [S], mm.
        sexes: int64 [S], 0 female, 1 male.
    """

    predicted: Float64
    true: Float64
    sexes: NDArray[np.int64]

    @property
    def errors(self) -> Float64:
        """Absolute errors float64 [S]."""
        return np.asarray(np.abs(self.predicted - self.true), np.float64)

    def of_sex(self, sex: int) -> "Measurements":
        """Those of the women (0) or men (1)."""
        rows = self.sexes == sex
        return Measurements(self.predicted[rows], self.true[rows], self.sexes[rows])

    @property
    def within_sex(self) -> "Measurements":
        """Deviations from the means of each sex, predicted and true: what is left once everybody's sex is known."""
        return Measurements(_centred(self.predicted, self.sexes), _centred(self.true, self.sexes), self.sexes)

    def correlation(self, seed: int = 0) -> Measured | None:
        """Correlation of predicted with true measures within the sexes, its interval by bootstrap over speakers.

        None where predictions do not differ within a sex, or there are fewer than four speakers.
        """
        apart = self.within_sex
        if len(self.true) < 4 or not _varies(self.predicted, apart.predicted) or not _varies(self.true, apart.true):
            return None

        drawn = np.random.default_rng(seed).integers(len(self.true), size=(_DRAWS, len(self.true)))
        cosines = _correlations(self.predicted[drawn], self.true[drawn], self.sexes[drawn])
        low, high = np.nanquantile(cosines, (0.025, 0.975))
        value = _correlations(self.predicted[None], self.true[None], self.sexes[None])[0]
        return Measured(float(value), float(low), float(high), people=len(self.true))

    def p_value(self, seed: int = 0, rounds: int = _ROUNDS) -> float:
        """Chance of errors within the sexes as small as these if faces were dealt out anew among people of a sex."""
        apart = self.within_sex
        return shuffled_p_value(apart.predicted, apart.true, within=self.sexes, seed=seed, rounds=rounds)


def mean_error(errors: Float64, seed: int = 0) -> Measured:
    """Mean of errors float64 [S] of speakers with its interval, by bootstrap over them.

    Raises:
        ValueError: there are none.
    """
    count = len(errors)
    if not count:
        raise ValueError("no errors")
    rng, drawn = np.random.default_rng(seed), []
    for begin in range(0, _DRAWS, max(1, _AT_A_TIME // count)):  # as `intervals.bootstrap`, many draws at a time
        size = min(_DRAWS - begin, max(1, _AT_A_TIME // count))
        drawn.append(errors[rng.integers(count, size=(size, count))].mean(1))
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    return Measured(float(errors.mean()), float(low), float(high), people=count)


def mean_over(measures: Mapping[str, Measurements]) -> Float64:
    """Mean absolute error over all measures, float64 [S]."""
    return np.asarray(np.mean([of.errors for of in measures.values()], axis=0), np.float64)


def _centred(values: Float64, sexes: NDArray[np.int64]) -> Float64:
    centred = values.astype(np.float64)
    for sex in np.unique(sexes):
        centred[sexes == sex] -= values[sexes == sex].mean()
    return centred


def _varies(values: Float64, apart: Float64) -> bool:
    """Whether more than rounding is left of values once their means are taken off."""
    return bool(np.abs(apart).max() > 1e-5 * max(1.0, float(np.abs(values).max())))


def _correlations(predicted: Float64, true: Float64, sexes: NDArray[np.int64]) -> Float64:
    """Correlations within the sexes of each row of [R, S]; NaN where a row's predictions or truths do not differ."""
    apart = []
    for values in (predicted, true):
        centred = values.astype(np.float64)
        for sex in (0, 1):
            own = sexes == sex
            mean = np.where(own, values, 0).sum(1) / np.maximum(own.sum(1), 1)
            centred -= np.where(own, mean[:, None], 0)
        apart.append(centred)
    (mine, real), tiny = apart, 1e-5 * max(1.0, float(np.abs(predicted).max()))
    differ = (np.abs(mine).max(1) > tiny) & (np.abs(real).max(1) > 0)
    below = np.sqrt((mine**2).sum(1) * (real**2).sum(1))
    return np.asarray(np.where(differ, (mine * real).sum(1) / np.where(differ, below, 1), np.nan), np.float64)
