"""Which faces go with a voice: a joint Gaussian of a face's coefficients and two cues of the voice, within each sex.

    α = μ + x,   x ~ N(0, Σ),   corr(sₖ(x), zₖ) = rₖ

z are the cues, vocal-tract length and f0, as deviations within the sex; s are two scores of the face, uncorrelated and of
variance one (`directions`). The cues are taken as independent of each other within a sex, as they very nearly are. Then

    E[α | z] = μ + Σₖ rₖ zₖ uₖ,   cov[α | z] = Σ − Σₖ rₖ² uₖ uₖᵀ,   uₖ = Σ ∇sₖ,

and over all voices the faces are those of the population again: nobody's face is made up that the population lacks. What
a cue does not tell stays with the covariance. A cue that is not known (NaN) tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.gaussian import square_root
from voxface.training.faces.population import FacePopulation
from voxface.training.world.directions import Axes, voice_directions
from voxface.training.world.speaker import F0_HZ, TRACT_CM
from voxface.training.world.voice_cues import VoiceCues

Sex = Literal["F", "M"]
Float32 = NDArray[np.float32]

FURTHEST: Final = 2.5
"""Cues count as at most so many standard deviations from their mean; synthetic speakers are cut there too."""

FEWEST: Final = 8
"""Voices of a sex that are enough to measure how its cues are spread."""


@dataclass(frozen=True)
class CueNorms:
    """How the cues are spread within each sex: (women, men).

    Attributes:
        tract_cm, f0_hz: mean and standard deviation of each sex.
    """

    tract_cm: tuple[tuple[float, float], tuple[float, float]]
    f0_hz: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, cues: Sequence[tuple[Sex, VoiceCues]]) -> Self:
        """Measured over voices; for a sex with fewer than `FEWEST` of them, `SPEAKERS`."""
        tract, f0 = [], []
        for index, sex in enumerate("FM"):
            own = [cue for of, cue in cues if of == sex]
            enough = len(own) >= FEWEST
            tract.append(_spread([cue.tract_cm for cue in own]) if enough else SPEAKERS.tract_cm[index])
            f0.append(_spread([cue.f0_hz for cue in own]) if enough else SPEAKERS.f0_hz[index])
        return cls((tract[0], tract[1]), (f0[0], f0[1]))

    def deviations(self, sex: Sex, f0_hz: float, tract_cm: float) -> NDArray[np.float64]:
        """(tract, f0) float64 [2] as deviations within the sex, held within ±`FURTHEST`; NaN stays NaN."""
        index = "FM".index(sex)
        raw = [
            (value - mean) / sd for value, (mean, sd) in ((tract_cm, self.tract_cm[index]), (f0_hz, self.f0_hz[index]))
        ]
        return np.clip(raw, -FURTHEST, FURTHEST)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), max(float(np.std(values)), 1e-6)


SPEAKERS: Final = CueNorms(tract_cm=(TRACT_CM["female"], TRACT_CM["male"]), f0_hz=(F0_HZ["female"], F0_HZ["male"]))
"""How synthetic speakers are drawn (`speaker.Speaker.sample`); men 120 ± 20 Hz and 16.9 cm, women 210 ± 25 Hz and 14.1 cm."""


@dataclass(frozen=True)
class Coupling:
    """How strongly a face goes with the cues.

    Attributes:
        name: for the record.
        tract: correlation of the first score (size) with tract length: (women, men).
        f0: correlation of the second score (breadth for length) with f0; negative, a deep voice goes with a broad face.
        axes: what the scores are made of, see `directions.voice_directions`.
    """

    name: str
    tract: tuple[float, float]
    f0: tuple[float, float]
    axes: Axes

    def __post_init__(self) -> None:
        if not all(-1 <= r <= 1 for r in (*self.tract, *self.f0)):
            raise InputError(f"coupling {self.name}: correlations lie between -1 and 1, not {self.tract} and {self.f0}")


PUBLISHED: Final = Coupling("published", tract=(0.2, 0.3), f0=(-0.05, -0.05), axes="lengths")
"""What is published of real voices: formant position goes with stature by about -0.3 in men and less in women, and in men
lower formants with larger heads and wider faces; f0 hardly goes with anything within a sex. Size stands for stature here,
and -0.05 for "hardly": both are assumptions."""


def strong(correlation: float = 0.9) -> Coupling:
    """A made-up coupling so strong that methods can be told apart by how much of it they find: NOT what real voices carry.

    The scores are made of the ratios of the ARE metric, which hardly see the size of a whole head (they are lengths over
    the distance between the eyes).
    """
    return Coupling(f"strong {correlation:g}", (correlation,) * 2, (-correlation,) * 2, "ratios")


@dataclass(frozen=True)
class Anatomy:
    """See the module; K coefficients of identity, of P in all.

    Attributes:
        modes: P.
        directions: float64 [2, 2, K], the scores' directions of each sex.
        roots: float64 [2, K, K], symmetric square roots of the population's covariances.
    """

    population: FacePopulation
    modes: int
    coupling: Coupling
    norms: CueNorms
    directions: NDArray[np.float64]
    roots: NDArray[np.float64]

    @classmethod
    def of(cls, model: MorphableModel, population: FacePopulation, coupling: Coupling, norms: CueNorms) -> Self:
        """The anatomy of a model and its population.

        Raises:
            InputError: they do not go together, or have no such directions.
        """
        known = population.mean.shape[1]
        if not model.identity_modes <= known <= model.modes:
            raise InputError(
                f"the population has {known} coefficients, model {model.name} {model.identity_modes} of identity; "
                "give the population that was made with the model"
            )
        directions = np.stack([voice_directions(model, population, sex, coupling.axes) for sex in (0, 1)])
        roots = np.stack([square_root(covariance.astype(np.float64)) for covariance in population.covariance])
        return cls(population, model.modes, coupling, norms, directions, roots)

    def correlations(self, sex: Sex) -> NDArray[np.float64]:
        """(tract, f0) float64 [2], of the scores with their cues."""
        index = "FM".index(sex)
        return np.array([self.coupling.tract[index], self.coupling.f0[index]])

    def expected(self, sex: Sex, f0_hz: float, tract_cm: float) -> Float32:
        """The mean face of all people with such a voice: coefficients float32 [P], expression neutral."""
        index = "FM".index(sex)
        told = self.correlations(sex) * np.nan_to_num(self.norms.deviations(sex, f0_hz, tract_cm), nan=0.0)
        return self._whole(self.population.mean[index] + told @ self._towards(index))

    def draw(self, sex: Sex, f0_hz: float, tract_cm: float, rng: np.random.Generator) -> Float32:
        """The face of one of them, drawn: coefficients float32 [P], expression neutral."""
        index = "FM".index(sex)
        cues, r = self.norms.deviations(sex, f0_hz, tract_cm), self.correlations(sex)
        known = np.isfinite(cues)
        face = rng.standard_normal(len(self.roots[index])) @ self.roots[index]
        scores = self.directions[index] @ face
        # A score keeps √(1 − r²) of what the population gave it; the cue gives the rest.
        wanted = np.where(known, r * np.nan_to_num(cues, nan=0.0) + np.sqrt(1 - r**2) * scores, scores)
        return self._whole(self.population.mean[index] + face + (wanted - scores) @ self._towards(index))

    def _towards(self, index: int) -> NDArray[np.float64]:
        """u, float64 [2, K]: where coefficients go with one more of each score."""
        return np.asarray(self.directions[index] @ self.population.covariance[index].astype(np.float64))

    def _whole(self, identity: NDArray[np.float64]) -> Float32:
        return np.concatenate([identity, np.zeros(self.modes - len(identity))]).astype(np.float32)
