"""Linear map from three cues of a voice (log f0, log vocal-tract length, sex) to coefficients: a baseline without a network."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Pairs

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


def ridge(inputs: Float64, outputs: Float64, penalty: float) -> Float64:
    """Ridge regression: W float64 [D, P] that minimises mean ‖xW − y‖² + penalty · ‖W‖².

    The last of the D inputs is the constant and is not penalised.

    Args:
        inputs, outputs: float64 [B, D] and [B, P].
    """
    costs = penalty * len(inputs) * np.eye(inputs.shape[1])
    costs[-1, -1] = 0
    return np.asarray(np.linalg.solve(inputs.T @ inputs + costs, inputs.T @ outputs), np.float64)


@dataclass(frozen=True)
class LinearCues:
    """Linear map from standardised cues to coefficients.

    Attributes:
        mean: float64 [3], of log f0, log tract length and sex (-1 female, 1 male) among the people of the fit.
        deviation: float64 [3], the standard deviations of the same.
        weights: float64 [4, P]; the last row is the constant term.
    """

    mean: Float64
    deviation: Float64
    weights: Float64

    @classmethod
    def fit(
        cls, pairs: Pairs, people: NDArray[np.int32], sexes: NDArray[np.int64] | None = None, penalty: float = 1e-2
    ) -> Self:
        """Ridge regression over people with known cues.

        Args:
            people: whose true faces may be used: the training split.
            sexes: int64 [len(people)], the sex cue, 0 female, 1 male; by default the people's own sex.

        Raises:
            InputError: cues are known of fewer than five people.
        """
        own = pairs.sexes[people] if sexes is None else sexes
        known = np.isfinite(pairs.cues[people]).all(1)
        if known.sum() < 5:
            raise InputError(
                f"voice cues (f0, tract length) are known of {known.sum()} people only; at least 5 are needed"
            )
        raw = _raw(pairs.cues[people], own)[known]
        mean, deviation = raw.mean(0), np.maximum(raw.std(0), 1e-9)
        weights = ridge(_inputs(raw, mean, deviation), pairs.coefficients[people][known].astype(np.float64), penalty)
        return cls(mean, deviation, weights)

    def __call__(self, cues: Float32, sexes: NDArray[np.int64]) -> Float32:
        """Coefficients float32 [B, P] of cues float32 [B, 2] (f0 in Hz, tract in cm; NaN counts as the mean) and sexes."""
        return np.asarray(_inputs(_raw(cues, sexes), self.mean, self.deviation) @ self.weights, np.float32)


def _raw(cues: Float32, sexes: NDArray[np.int64]) -> Float64:
    return np.concatenate([np.log(cues.astype(np.float64)), (2.0 * sexes - 1)[:, None]], axis=1)


def _inputs(raw: Float64, mean: Float64, deviation: Float64) -> Float64:
    standard = np.nan_to_num((raw - mean) / deviation, nan=0.0)
    return np.concatenate([standard, np.ones((len(raw), 1))], axis=1)
