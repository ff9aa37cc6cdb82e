"""Linear map from the voice embedding to coefficients (ridge regression): a baseline without a network of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.baselines.linear_cues import ridge

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
PENALTIES: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class LinearEmbedding:
    """Linear map from standardised embeddings to coefficients.

    Attributes:
        mean, deviation: float64 [E], of the embeddings of the fit.
        weights: float64 [E + 1, P]; the last row is the constant term.
        penalty: the ridge penalty.
    """

    mean: Float64
    deviation: Float64
    weights: Float64
    penalty: float

    @staticmethod
    def fit(
        embeddings: Float32,
        coefficients: Float32,
        validation: tuple[Float32, Float32] | None = None,
        place: Callable[[Float32], Float64] = lambda difference: difference.astype(np.float64),
    ) -> "LinearEmbedding":
        """Fits embeddings float32 [B, E] to coefficients float32 [B, P].

        Args:
            validation: embeddings and coefficients of other people, by which the best of `PENALTIES` is chosen; None: 0.1.
            place: differences of coefficients -> points whose lengths are the distances of the faces (`MorphableModel.place`).
        """
        mean, deviation = embeddings.mean(0, dtype=np.float64), embeddings.std(0, dtype=np.float64)
        deviation = np.maximum(deviation, 1e-9)

        def fitted(penalty: float) -> LinearEmbedding:
            outputs = coefficients.astype(np.float64)
            return LinearEmbedding(
                mean, deviation, ridge(_inputs(embeddings, mean, deviation), outputs, penalty), penalty
            )

        if validation is None:
            return fitted(0.1)
        heard, true = validation
        return min(
            (fitted(p) for p in PENALTIES), key=lambda found: float(np.square(place(found(heard) - true)).mean())
        )

    def __call__(self, embeddings: Float32) -> Float32:
        """Coefficients float32 [B, P] of embeddings float32 [B, E]."""
        return np.asarray(_inputs(embeddings, self.mean, self.deviation) @ self.weights, np.float32)


def _inputs(embeddings: Float32, mean: Float64, deviation: Float64) -> Float64:
    return np.concatenate([(embeddings - mean) / deviation, np.ones((len(embeddings), 1))], axis=1)
