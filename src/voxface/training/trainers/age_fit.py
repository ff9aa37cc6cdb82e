"""Fits of age to embeddings: a logistic regression of children, and the logarithm of ages that are known as ranges."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
_LEAST: Final = 1e-12  # of a probability
_LEAST_VARIANCE: Final = (
    1e-3  # that is left of a logarithm known to lie in a range, as a share of the variance about the fit
)


@dataclass(frozen=True)
class Line:
    """A linear function of embeddings.

    Attributes:
        weight: float64 [E].
        bias: the value at an embedding of zeros.
    """

    weight: Float64
    bias: float

    def __call__(self, x: Float64) -> Float64:
        """The values float64 [N] of embeddings float64 [N, E]."""
        values: Float64 = x @ self.weight + self.bias
        return values


def fit_logistic(x: Float64, y: NDArray[np.bool_], weight: Float64, penalty: float) -> Line:
    """Logistic regression by Newton's method: the logit that y is true.

    Args:
        x: float64 [N, E].
        y: bool [N].
        weight: float64 [N], how much each row counts.
        penalty: of squared weights.
    """
    centre = np.average(x, axis=0, weights=weight)
    design = np.column_stack([x - centre, np.ones(len(x))])
    shrink = np.array([*[penalty] * x.shape[1], 0.0]) + 1e-9  # so that it ends where all rows are of one kind, or alike
    beta = np.zeros(len(shrink))
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -50, 50)))
        slope = design.T @ (weight * (p - y)) + shrink * beta
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(shrink)
        step = np.linalg.solve(curve, slope)
        beta -= step
        if float(np.abs(step).max()) < 1e-9:
            break
    return Line(beta[:-1], float(beta[-1] - beta[:-1] @ centre))


def log_loss(logits: Float64, y: NDArray[np.bool_], weight: Float64) -> float:
    """Mean negative log-likelihood of y, bool [N], by logits float64 [N]."""
    return float(np.average(np.logaddexp(0, np.where(y, -logits, logits)), weights=weight))


@dataclass(frozen=True)
class LogYears:
    """A normal distribution of the logarithm of the age.

    Attributes:
        mean: of embeddings.
        sd: about it.
    """

    mean: Line
    sd: float

    def log_likelihood(self, x: Float64, youngest: Float64, oldest: Float64, weight: Float64) -> float:
        """Mean logarithm of the probability of the range of ages that each speaker may have."""
        low, high = _standard(self.mean(x), self.sd, youngest, oldest)
        return float(np.average(np.log(np.maximum(_ndtr(high) - _ndtr(low), _LEAST)), weights=weight))


def fit_years(x: Float64, youngest: Float64, oldest: Float64, weight: Float64, penalty: float) -> LogYears:
    """The most likely linear mean of log age and its deviation, where each age is known as a range of whole years, by the EM
    algorithm for a normal distribution of which intervals are seen (Stewart 1983, *On least squares estimation when the
    dependent variable is grouped*).

    Args:
        x: float64 [N, E].
        youngest, oldest: float64 [N], years, both within the range.
        weight: float64 [N], how much each row counts.
        penalty: of squared weights.
    """
    centre = np.average(x, axis=0, weights=weight)
    design = np.column_stack([x - centre, np.ones(len(x))])
    gram = (design * weight[:, None]).T @ design + np.diag([*[penalty] * x.shape[1], 0.0])
    first, last = np.log(youngest), np.log(oldest + 1)
    beta: NDArray[Any] = np.append(np.zeros(x.shape[1]), np.average((first + last) / 2, weights=weight))
    sd = 0.3
    for _ in range(60):
        mean = design @ beta
        low, high = _standard(mean, sd, youngest, oldest)
        inside = np.maximum(_ndtr(high) - _ndtr(low), _LEAST)
        shift = (_density(low) - _density(high)) / inside
        seen = np.clip(mean + sd * shift, first, last)
        left = 1 + (low * _density(low) - high * _density(high)) / inside - shift**2
        beta = np.linalg.solve(gram, design.T @ (weight * seen))
        spread = (seen - design @ beta) ** 2 + sd**2 * np.clip(left, _LEAST_VARIANCE, 1)
        sd = math.sqrt(float(np.average(spread, weights=weight)))
    return LogYears(Line(beta[:-1], float(beta[-1] - beta[:-1] @ centre)), sd)


def coverage(years: Float64, spread: float, youngest: Float64, oldest: Float64, weight: Float64) -> float:
    """The share of ages within the intervals [years / e^spread, years · e^spread].

    An age is taken to be anywhere in its range. Where ranges are wide, true ages lie nearer to the years that are told than
    that, so intervals that hold a share of the ages by this hold somewhat more of them.
    """
    low, high = years * math.exp(-spread), years * math.exp(spread)
    inside = np.maximum(0, np.minimum(high, oldest + 1) - np.maximum(low, youngest))
    return float(np.average(inside / (oldest + 1 - youngest), weights=weight))


def spread_that_covers(
    share: float, years: Float64, youngest: Float64, oldest: Float64, weight: Float64, most: float
) -> float:
    """The smallest spread, `most` at most, whose intervals hold this share of the ages; by bisection."""
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        if coverage(years, middle, youngest, oldest, weight) < share:
            low = middle
        else:
            high = middle
    return high


def _standard(mean: Float64, sd: float, youngest: Float64, oldest: Float64) -> tuple[Float64, Float64]:
    """Both ends of the ranges, in standard deviations from the mean."""
    return (np.log(youngest) - mean) / sd, (np.log(oldest + 1) - mean) / sd


def _ndtr(x: Float64) -> Float64:
    """The normal distribution function."""
    values: Float64 = torch.special.ndtr(torch.from_numpy(x)).numpy()
    return values


def _density(x: Float64) -> Float64:
    values: Float64 = np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi)
    return values
