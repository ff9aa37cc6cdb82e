"""Which face goes with a real voice: drawn from the population given what the voice is known to carry, and no more.

Sex is carried nearly whole. Within a sex, the length of the vocal tract goes weakly with the size of the face (formant
position and stature correlate at about -0.3 in men and less in women); everything else is not in the voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.morphable import MorphableModel
from voxface.training.faces.population import FacePopulation

SIZE_MEASURES = ("face_width", "face_length", "head_breadth", "head_length", "nose_length")
CORRELATION = {"F": 0.2, "M": 0.3}


@dataclass(frozen=True)
class SizeCue:
    """Mean and standard deviation of the vocal-tract length, in cm, among the voices of each sex: index 0 women, 1 men."""

    mean: tuple[float, float]
    deviation: tuple[float, float]

    @classmethod
    def of(cls, tracts: Sequence[float], sexes: Sequence[str]) -> "SizeCue":
        """Measures the cue's distribution over recordings."""
        groups = [np.array([t for t, s in zip(tracts, sexes, strict=True) if s == sex]) for sex in "FM"]
        mean, deviation = [float(g.mean()) for g in groups], [float(g.std()) for g in groups]
        return cls((mean[0], mean[1]), (deviation[0], deviation[1]))


def expected_face(
    model: MorphableModel, population: FacePopulation, sex: str, tract_cm: float | None, cue: SizeCue
) -> NDArray[np.float32]:
    """The mean face, coefficients float32 [P], of all people with a voice of this sex and vocal tract (None: unknown).

    The conditional mean of a joint Gaussian: mean + r · z · Σg / √(gᵀΣg), where g is the gradient of size over coefficients
    and z the tract's deviation within the sex, held within ±2.5.
    """
    index = "FM".index(sex)
    face = population.mean[index].astype(np.float64)
    if tract_cm is not None:
        z = float(np.clip((tract_cm - cue.mean[index]) / cue.deviation[index], -2.5, 2.5))
        spread = population.covariance[index].astype(np.float64)
        gradient = _size_gradient(model, population, index)
        towards = spread @ gradient
        face = face + CORRELATION[sex] * z * towards / np.sqrt(gradient @ towards)
    rest = np.zeros(model.modes - len(face))
    return np.concatenate([face, rest]).astype(np.float32)


def _size_gradient(model: MorphableModel, population: FacePopulation, index: int) -> NDArray[np.float64]:
    """Change, per unit of each identity coefficient, of the sum of the size measures in their standard deviations."""
    modes = population.mean.shape[1]
    base = np.zeros(model.modes, np.float32)
    base[:modes] = population.mean[index]
    at = model.measure(model.vertices(base))
    moved = [model.measure(model.vertices(base + np.eye(model.modes, dtype=np.float32)[k])) for k in range(modes)]
    slopes = np.array([[m[name] - at[name] for name in SIZE_MEASURES] for m in moved])
    deviations = np.sqrt(np.einsum("km,kl,lm->m", slopes, population.covariance[index], slopes))
    return np.asarray((slopes / deviations).sum(1))
