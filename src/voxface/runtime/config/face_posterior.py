"""The trained numbers of the face posterior: how faces of people with one voice vary about the face that is estimated."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
LARGEST: Final = 1e3  # of a number; coefficients are of unit variance, so those of a trained posterior are below 10
MOST_ROWS: Final = 1024  # of a factor; a morphable model has no more modes
MOST_ERRORS: Final = 1 << 16  # rows


@dataclass(frozen=True, eq=False)
class FacePosteriorWeights:
    """Covariances of the K identity coefficients, given the voice and the sex s (0 female, 1 male):

        cov[α | voice, s] = unexplained[s]ᵀ unexplained[s] + Σ eᵀ e over the rows e of `errors` of that sex

    They are stored as factors, because every factor is one of a covariance: none can fail to be positive semi-definite.

    Attributes:
        unexplained: float32 [2, R, K], what no voice tells.
        population: float32 [2, Q, K], a factor of the covariance among all people of the sex.
        errors: float32 [E, K], what the estimate misses of what the voice tells: on people that the mesh network was not
            trained on, divided by the square root of their number of that sex.
        error_sex: uint8 [E], the sex of each row of `errors`.
        error_speaker: int64 [E], the speaker of each row, from 0; whole speakers are resampled for intervals.
    """

    unexplained: Float32
    population: Float32
    errors: Float32
    error_sex: NDArray[np.uint8]
    error_speaker: NDArray[np.int64]

    def __post_init__(self) -> None:
        modes = self.unexplained.shape[-1] if self.unexplained.ndim == 3 else 0
        if not 1 <= modes <= MOST_ROWS:
            raise ValueError(f"unexplained has shape {list(self.unexplained.shape)}, not [2, R, K]")
        for name, factor in (("unexplained", self.unexplained), ("population", self.population)):
            if (
                factor.ndim != 3
                or len(factor) != 2
                or factor.shape[2] != modes
                or not 1 <= factor.shape[1] <= MOST_ROWS
            ):
                raise ValueError(f"{name} has shape {list(factor.shape)}, not [2, 1 to {MOST_ROWS}, {modes}]")
        rows = len(self.errors)
        if self.errors.shape != (rows, modes) or rows > MOST_ERRORS:
            raise ValueError(f"errors has shape {list(self.errors.shape)}, not [E, {modes}], E at most {MOST_ERRORS}")
        for name, labels, end in (("error_sex", self.error_sex, 2), ("error_speaker", self.error_speaker, rows)):
            if labels.shape != (rows,) or (rows and not (0 <= int(labels.min()) and int(labels.max()) < end)):
                raise ValueError(f"{name} is not {rows} whole numbers from 0 to {end - 1}")
        for name in ("unexplained", "population", "errors"):
            array = getattr(self, name)
            if array.size and not (-LARGEST < float(array.min()) and float(array.max()) < LARGEST):  # false for NaN
                raise ValueError(f"{name} holds NaN or infinity, or numbers beyond ±{LARGEST:,.0f}")

    @property
    def modes(self) -> int:
        """K, the number of identity coefficients."""
        return int(self.unexplained.shape[2])

    def mapped(self, matrix: NDArray[np.floating]) -> "FacePosteriorWeights":
        """The posterior of coefficients that are a linear map [K', K] of these."""
        through = np.asarray(matrix, np.float32).T
        return FacePosteriorWeights(
            self.unexplained @ through,
            self.population @ through,
            self.errors @ through,
            self.error_sex,
            self.error_speaker,
        )
