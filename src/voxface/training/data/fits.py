"""3D faces that were fitted to single pictures: several of a person, beside the one that is the person's reference.

Voxceleb-3D has one of each of 140,000 pictures to learn from, and one picked for each person to measure by (Wu 2022, §3.2 and
§4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

NO_PICTURE: Final = -1


@dataclass(frozen=True)
class Fits:
    """F fitted faces.

    Attributes:
        coefficients: float32 [F, P], identity and expression of each.
        variance: float32 [F, P], the posterior's of each coefficient; NaN where what fitted it tells none.
        person: int32 [F].
        picture: int32 [F], row of the picture it was fitted to, or `NO_PICTURE` where that is not in the pairs.
    """

    coefficients: NDArray[np.float32]
    variance: NDArray[np.float32]
    person: NDArray[np.int32]
    picture: NDArray[np.int32]

    @classmethod
    def none(cls, modes: int) -> Self:
        """No fitted face of `modes` coefficients."""
        empty = np.empty((0, modes), np.float32)
        return cls(empty, empty, np.empty(0, np.int32), np.empty(0, np.int32))

    @classmethod
    def joined(cls, parts: "Sequence[Fits]") -> Self:
        """Those of one or more parts, one after the other."""
        return cls(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)})

    @classmethod
    def from_arrays(cls, arrays: Any) -> Self:
        """From arrays by name.

        Raises:
            LookupError: one is missing.
        """
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})

    def __len__(self) -> int:
        return len(self.person)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def fit(self, people: int, modes: int, pictures: NDArray[np.int32]) -> bool:
        """Whether they are of this many people and modes, and of pictures [K] of the same people."""
        count = len(self.person)
        shown = self.picture != NO_PICTURE
        return (
            self.coefficients.shape == self.variance.shape == (count, modes)
            and self.person.shape == self.picture.shape == (count,)
            and bool(np.isfinite(self.coefficients).all())
            and bool((self.person >= 0).all() and (self.person < people).all())
            and bool((self.picture >= NO_PICTURE).all() and (self.picture < len(pictures)).all())
            and bool((pictures[self.picture[shown]] == self.person[shown]).all())
        )


class DrawnFits:
    """Targets of a training: a person's reference, or one of the person's fits, drawn anew each time.

    Attributes:
        targets: float32 [I + F, P], the references, then the fits.
    """

    def __init__(self, references: NDArray[np.float32], fits: Fits | None) -> None:
        """`references`: float32 [I, P]; without fits these are drawn always."""
        self.targets = references if fits is None else np.concatenate([references, fits.coefficients])
        person = np.empty(0, np.int32) if fits is None else fits.person
        self._own = np.argsort(person, kind="stable") + len(references)
        self._counts = np.bincount(person, minlength=len(references))
        self._starts = np.cumsum(self._counts) - self._counts

    def draw(self, people: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows int64 of `targets`, one for each of these people: any of their fits, or their reference if they have none."""
        if not len(self._own):
            return people.astype(np.int64)
        counts = self._counts[people]
        within = (rng.random(len(people)) * counts).astype(np.int64)
        at = np.minimum(self._starts[people] + within, len(self._own) - 1)
        return np.where(counts > 0, self._own[at], people).astype(np.int64)
