"""The face of everybody: one mean for all, or one for each sex, where the sex is heard or, as an oracle, known."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.baselines.linear_cues import ridge

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class MeanFaces:
    """Means over people.

    Attributes:
        everybody: float32 [P].
        by_sex: float32 [2, P], (female, male).
    """

    everybody: Float32
    by_sex: Float32

    @classmethod
    def of(cls, pairs: Pairs, people: NDArray[np.int32]) -> Self:
        """Means of the true coefficients of these people; the mean for all counts the sexes alike.

        Raises:
            ValueError: one sex is missing.
        """
        own = [people[pairs.sexes[people] == sex] for sex in (0, 1)]
        if not all(len(group) for group in own):
            raise ValueError("mean faces need people of both sexes")
        by_sex = np.stack([pairs.coefficients[group].mean(0) for group in own]).astype(np.float32)
        return cls(by_sex.mean(0), by_sex)

    def of_everybody(self, count: int) -> Float32:
        """The same face `count` times, float32 [count, P]."""
        return np.repeat(self.everybody[None], count, axis=0)

    def of_sexes(self, sexes: NDArray[np.int64]) -> Float32:
        """The mean face of each sex, float32 [B, P]; `sexes` int64 [B], 0 female, 1 male."""
        return self.by_sex[sexes]


@dataclass(frozen=True)
class HeardSex:
    """Sex by a linear map of the embedding (ridge regression to -1 and 1).

    Attributes:
        weights: float64 [E + 1], the last one constant.
    """

    weights: NDArray[np.float64]

    @classmethod
    def of(cls, embeddings: Float32, sexes: NDArray[np.int64], penalty: float = 1e-2) -> Self:
        """Fits embeddings float32 [B, E] and sexes int64 [B]."""
        return cls(ridge(_with_one(embeddings), (2.0 * sexes.astype(np.float64) - 1)[:, None], penalty)[:, 0])

    def __call__(self, embeddings: Float32) -> NDArray[np.int64]:
        """0 female, 1 male, int64 [B]."""
        return (_with_one(embeddings) @ self.weights > 0).astype(np.int64)


def _with_one(embeddings: Float32) -> NDArray[np.float64]:
    return np.concatenate([embeddings.astype(np.float64), np.ones((len(embeddings), 1))], axis=1)
