"""What an embedding tells of the speaker's age: how likely the voice is a child's, and how old an adult is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.age import OLDEST, YOUNGEST, AgeWeights
from voxface.runtime.features.speech_modulation import logistic

_LOG_YOUNGEST, _LOG_OLDEST = math.log(YOUNGEST), math.log(OLDEST)


@dataclass(frozen=True)
class Age:
    """The age of an adult, in years: the median of what is likely, and an interval that holds four ages in five.

    Attributes:
        years: the estimate.
        low, high: the interval.
    """

    years: float
    low: float
    high: float


@dataclass(frozen=True)
class AgeHeard:
    """What is heard of a speaker's age.

    Attributes:
        child: the probability that the voice is a child's, of 14 years at most, where children and adults are as frequent.
        is_child: whether that is enough to tell the voice as a child's.
        age: the age of an adult; None of a child's voice, and where the bundle does not tell ages.
    """

    child: float
    is_child: bool
    age: Age | None


def hear_age(weights: AgeWeights, embedding: NDArray[np.float32]) -> AgeHeard:
    """The age that an embedding float32 [E] tells."""
    scores: list[float] = (weights.matrix @ embedding).tolist()
    child = logistic(weights.child.bias + scores[0])
    is_child = child >= weights.child.threshold
    if is_child or weights.years is None:
        return AgeHeard(child, is_child, None)
    middle = weights.years.bias + scores[1]
    years, low, high = (_within(middle + off) for off in (0.0, -weights.years.spread, weights.years.spread))
    return AgeHeard(child, False, Age(years, low, high))


def _within(log_years: float) -> float:
    """Years of their logarithm, which may be of any size, within those that are told."""
    return math.exp(min(max(log_years, _LOG_YOUNGEST), _LOG_OLDEST))
