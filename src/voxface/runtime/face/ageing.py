"""How a head changes with age: a displacement of every vertex in ten years, for women and for men."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
MOST_MM: Final = 100.0  # that a coordinate may move in ten years; in the embedded model it is below 5
YOUNGEST, OLDEST = 20.0, 80.0  # years between which the displacement is taken to be proportional to time


@dataclass(frozen=True, eq=False)
class Ageing:
    """The displacements, and the age from which they count.

    Attributes:
        per_decade: float32 [2, N, 3], of (a woman's, a man's) vertices in ten years, millimetres.
        mean_age: years, of the faces that coefficients alone give.
    """

    per_decade: Float32
    mean_age: float

    def __post_init__(self) -> None:
        shape = self.per_decade.shape
        if len(shape) != 3 or shape[0] != 2 or shape[2] != 3 or not self.per_decade.size:
            raise ValueError(f"ageing has shape {list(shape)}, not [2, N, 3]")
        if not -MOST_MM < float(self.per_decade.min()) <= float(self.per_decade.max()) < MOST_MM:  # false for NaN
            raise ValueError(f"ageing holds NaN or infinity, or moves beyond ±{MOST_MM:g} mm in ten years")
        if not YOUNGEST <= self.mean_age <= OLDEST:
            raise ValueError(f"the mean age of the faces is {self.mean_age:g}, not {YOUNGEST:g} to {OLDEST:g} years")

    def decades(self, years: float, female: float) -> Float32:
        """The decades float32 [2] that vertices move along (a woman's, a man's) displacement, up to the age `years`.

        Args:
            female: the probability of a woman, 0 to 1.
        """
        passed = (min(max(years, YOUNGEST), OLDEST) - self.mean_age) / 10
        return np.array([passed * female, passed * (1 - female)], np.float32)
