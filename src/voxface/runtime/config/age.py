"""The weights with which an embedding tells a child's voice, and an adult's age."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST: Final = 1e6  # of a weight; embeddings are of unit length, so those of a trained part are below 1000
WIDEST: Final = 3.0  # of an interval: a factor of twenty to either side
CHILD_UP_TO: Final = 14  # years: whose voice counts as a child's
YOUNGEST, OLDEST = 18.0, 90.0  # years that an adult's age is told as


@dataclass(frozen=True)
class ChildWeights:
    """A logistic regression: probability that the voice is a child's = logistic(bias + weight · embedding).

    Attributes:
        weight: one for each number of the embedding.
        bias: the logit of an embedding of zeros.
        threshold: the probability from which on a voice is told to be a child's, 0 to 1.
    """

    weight: tuple[float, ...]
    bias: float
    threshold: float

    def __post_init__(self) -> None:
        _check("child", (*self.weight, self.bias))
        if not 0 < self.threshold <= 1:  # false for NaN
            raise ValueError(f"age: the threshold of a child's voice is {self.threshold}, not within 0 to 1")


@dataclass(frozen=True)
class YearsWeights:
    """A linear regression of the logarithm of an adult's age: years = exp(bias + weight · embedding).

    Attributes:
        weight: one for each number of the embedding.
        bias: the logarithm at an embedding of zeros.
        spread: the interval reaches from years / exp(spread) to years · exp(spread).
    """

    weight: tuple[float, ...]
    bias: float
    spread: float

    def __post_init__(self) -> None:
        _check("years", (*self.weight, self.bias))
        if not 0 < self.spread <= WIDEST:
            raise ValueError(f"age: the spread of years is {self.spread}, not positive, or more than {WIDEST:g}")


@dataclass(frozen=True)
class AgeWeights:
    """What a bundle knows of age.

    Attributes:
        child: tells children's voices.
        years: tells an adult's age; None where the voice encoder does not hear it better than by guessing the mean.
    """

    child: ChildWeights
    years: YearsWeights | None

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """The weights of what is told, one after another: float64 [1 or 2, E]."""
        return np.array([part.weight for part in (self.child, self.years) if part is not None])

    def check_size(self, size: int) -> None:
        """Raises ValueError unless there is a weight for each of the `size` numbers of an embedding."""
        for name, part in (("child", self.child), ("years", self.years)):
            if part is not None and len(part.weight) != size:
                raise ValueError(f"age: {len(part.weight)} weights of {name}, the embedding has {size} numbers")


def _check(name: str, numbers: tuple[float, ...]) -> None:
    if not all(-LARGEST < number < LARGEST for number in numbers):  # false for NaN
        raise ValueError(f"age: weights of {name} are not finite, or beyond ±{LARGEST:,.0f}")
