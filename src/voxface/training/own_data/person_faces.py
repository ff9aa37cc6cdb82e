"""The faces that are known of a person: several fits, and the one that is the reference."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.fits import NO_PICTURE


@dataclass(frozen=True)
class PersonFaces:
    """Faces of one person, of P coefficients.

    Attributes:
        coefficients: float32 [P], the reference, without expression; NaN where no face is known.
        reference: name of the file that it is from or shows it best; "" where no face is known.
        fits: float32 [n, P], the face of each picture, with its expression.
        variance: float32 [n, P], of the posterior; NaN where what fitted it tells none.
        pictures: int32 [n], number of the person's picture that each was fitted to, or `NO_PICTURE`.
    """

    coefficients: NDArray[np.float32]
    reference: str
    fits: NDArray[np.float32]
    variance: NDArray[np.float32]
    pictures: NDArray[np.int32]

    @classmethod
    def none(cls, modes: int) -> Self:
        """Nothing is known."""
        empty = np.empty((0, modes), np.float32)
        return cls(np.full(modes, np.nan, np.float32), "", empty, empty, np.empty(0, np.int32))

    @classmethod
    def without_pictures(cls, fits: NDArray[np.float32], best: int, reference: str, identity_modes: int) -> Self:
        """Fits [n, P] of pictures that are not kept, of which `best` is the reference."""
        pictures = np.full(len(fits), NO_PICTURE, np.int32)
        return cls(neutral(fits[best], identity_modes), reference, fits, np.full_like(fits, np.nan), pictures)


def neutral(coefficients: NDArray[np.float32], identity_modes: int) -> NDArray[np.float32]:
    """Coefficients [P] without expression."""
    found = np.zeros_like(coefficients)
    found[:identity_modes] = coefficients[:identity_modes]
    return found
