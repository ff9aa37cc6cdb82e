"""Mean faces as a baseline: one mean for everybody, or one per sex; the sex is heard by a linear classifier, or known."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.baselines.linear_cues import ridge

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class MeanFaces:
    """Mean coefficients over people.

    Attributes:
        everybody: float32 [P].
        by_sex: float32 [2, P], (female, male).
    """

    everybody: Float32
    by_sex: Float32

    @classmethod
    def from_pairs(cls, pairs: Pairs, people: NDArray[np.int32]) -> Self:
        """Means of the true coefficients of these people; both sexes weigh the same in the mean for everybody.

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
class LinearSexClassifier:
    """Sex from the voice embedding by a linear map (ridge regression to -1 and 1).

    Attributes:
        weights: float64 [E + 1]; the last one is the constant term.
    """

    weights: NDArray[np.float64]

    @classmethod
    def fit(cls, embeddings: Float32, sexes: NDArray[np.int64], penalty: float = 1e-2) -> Self:
        """Fits the map to embeddings float32 [B, E] with sexes int64 [B], 0 female, 1 male."""
        return cls(ridge(_with_one(embeddings), (2.0 * sexes.astype(np.float64) - 1)[:, None], penalty)[:, 0])

    def __call__(self, embeddings: Float32) -> NDArray[np.int64]:
        """Sexes int64 [B] of embeddings float32 [B, E]: 0 female, 1 male."""
        return (_with_one(embeddings) @ self.weights > 0).astype(np.int64)


def _with_one(embeddings: Float32) -> NDArray[np.float64]:
    return np.concatenate([embeddings.astype(np.float64), np.ones((len(embeddings), 1))], axis=1)
