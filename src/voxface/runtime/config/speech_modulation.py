"""The weights with which the movement of a spectrum tells speech from other sound."""

from dataclasses import dataclass
from typing import NamedTuple

LARGEST = 1e6  # of a weight; those of the default bundle are below 100


class Movement(NamedTuple):
    """The movement of a spectrum's shape, which is described by its cepstra, over a piece of sound.

    Attributes:
        change: logarithm of the change of cepstra 2 to 6 within 0.2 s (root mean square of the five, mean over time). The
            first cepstrum is left out, since every drum moves it.
        syllables: share of 3 to 6 Hz in the modulation energy, 1 to 50 Hz, of cepstra 1 to 6.
    """

    change: float
    syllables: float


@dataclass(frozen=True)
class SpeechModulationWeights:
    """A logistic regression on `Movement`: probability = logistic(bias + weight · (movement - centre)).

    Attributes:
        centre: mean movement of the sounds it was fitted to.
        weight: weights of the movement's distance from the centre.
        bias: the logit at the centre.
    """

    centre: Movement
    weight: Movement
    bias: float

    def __post_init__(self) -> None:
        numbers = (*self.centre, *self.weight, self.bias)
        if not all(-LARGEST < number < LARGEST for number in numbers):  # false for NaN
            raise ValueError(f"weights of the speech modulation are not finite, or beyond ±{LARGEST:,.0f}")
