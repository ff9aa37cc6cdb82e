"""The distribution of faces given a voice: a joint Gaussian of a face's coefficients and two cues of the voice, for each sex.

    α = μ + x,   x ~ N(0, Σ),   corr(sₖ(x), zₖ) = rₖ

z are the cues, vocal-tract length and f0, as deviations within the sex; s are two scores of the face, uncorrelated and of
variance one (`directions`). The cues are assumed independent of each other within a sex, which they very nearly are. Then

    E[α | z] = μ + Σₖ rₖ zₖ uₖ,   cov[α | z] = Σ − Σₖ rₖ² uₖ uₖᵀ,   uₖ = Σ ∇sₖ,

and the distribution over all voices is the population again. What a cue does not determine keeps the population's covariance.
An unknown cue (NaN) changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.pairs import Pairs
from voxface.training.faces.gaussian import square_root
from voxface.training.faces.population import FacePopulation
from voxface.training.world.directions import Axes, voice_directions
from voxface.training.world.speaker import F0_HZ, TRACT_CM
from voxface.training.world.voice_cues import VoiceCues

Sex = Literal["F", "M"]
Float32 = NDArray[np.float32]

LARGEST_DEVIATION: Final = 2.5
"""Largest deviation of a cue, in standard deviations; larger ones are clipped, as the traits of synthetic speakers are."""

LEAST_VOICES: Final = 8
"""Least number of voices of a sex for measuring the spread of its cues."""


@dataclass(frozen=True)
class CueNorms:
    """Spread of the cues within each sex.

    Attributes:
        tract_cm, f0_hz: (mean, standard deviation) of women, then of men.
    """

    tract_cm: tuple[tuple[float, float], tuple[float, float]]
    f0_hz: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def from_voices(cls, cues: Sequence[tuple[Sex, VoiceCues]]) -> Self:
        """Norms measured over voices; a sex with fewer than `LEAST_VOICES` of them gets those of `SYNTHETIC_NORMS`."""
        tract, f0 = [], []
        for index, sex in enumerate("FM"):
            own = [cue for of, cue in cues if of == sex]
            enough = len(own) >= LEAST_VOICES
            tract.append(_spread([cue.tract_cm for cue in own]) if enough else SYNTHETIC_NORMS.tract_cm[index])
            f0.append(_spread([cue.f0_hz for cue in own]) if enough else SYNTHETIC_NORMS.f0_hz[index])
        return cls((tract[0], tract[1]), (f0[0], f0[1]))

    def deviations(self, sex: Sex, f0_hz: float, tract_cm: float) -> NDArray[np.float64]:
        """Deviations (tract, f0) float64 [2] within the sex, clipped to ±`LARGEST_DEVIATION`; NaN stays NaN."""
        index = "FM".index(sex)
        raw = [
            (value - mean) / sd for value, (mean, sd) in ((tract_cm, self.tract_cm[index]), (f0_hz, self.f0_hz[index]))
        ]
        return np.clip(raw, -LARGEST_DEVIATION, LARGEST_DEVIATION)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), max(float(np.std(values)), 1e-6)


SYNTHETIC_NORMS: Final = CueNorms(
    tract_cm=(TRACT_CM["female"], TRACT_CM["male"]), f0_hz=(F0_HZ["female"], F0_HZ["male"])
)
"""Norms of synthetic speakers (`speaker.Speaker.sample`): men 120 ± 20 Hz and 16.9 cm, women 210 ± 25 Hz and 14.1 cm."""


@dataclass(frozen=True)
class Coupling:
    """Strength of the correlation between faces and cues.

    Attributes:
        name: name of the coupling, kept in the description of a world.
        tract: correlation of the first score (size) with tract length: (women, men).
        f0: correlation of the second score (breadth for length) with f0: (women, men); negative if deep voices go with broad
            faces.
        axes: measures that the scores are made of, see `directions.voice_directions`.
    """

    name: str
    tract: tuple[float, float]
    f0: tuple[float, float]
    axes: Axes

    def __post_init__(self) -> None:
        if not all(-1 <= r <= 1 for r in (*self.tract, *self.f0)):
            raise InputError(f"coupling {self.name}: correlations lie between -1 and 1, not {self.tract} and {self.f0}")


PUBLISHED_COUPLING: Final = Coupling("published", tract=(0.2, 0.3), f0=(-0.05, -0.05), axes="lengths")
"""Published correlations of real voices: formant position with stature about -0.3 in men and weaker in women; in men, lower
formants with larger heads and wider faces; f0 with hardly anything within a sex. Two assumptions are made here: the size of the
face replaces stature, and the correlation with f0 is -0.05."""


def strong_coupling(correlation: float = 0.9) -> Coupling:
    """An artificial coupling, strong enough to compare methods by how much of it they find. Real voices do NOT carry it.

    The scores are made of the ratios of the ARE metric, which hardly depend on the size of a whole head (they are lengths over
    the distance between the eyes).
    """
    return Coupling(f"strong {correlation:g}", (correlation,) * 2, (-correlation,) * 2, "ratios")


@dataclass(frozen=True)
class VoiceFaceDistribution:
    """Distribution of faces given a voice; see the module. K of the P coefficients describe identity.

    Attributes:
        population: Gaussian of each sex over the K coefficients.
        modes: P.
        coupling: correlations of the scores with the cues.
        norms: spread of the cues.
        directions: float64 [2, 2, K], directions of the two scores for each sex.
        roots: float64 [2, K, K], symmetric square roots of the population's covariances.
    """

    population: FacePopulation
    modes: int
    coupling: Coupling
    norms: CueNorms
    directions: NDArray[np.float64]
    roots: NDArray[np.float64]

    @classmethod
    def from_population(
        cls, model: MorphableModel, population: FacePopulation, coupling: Coupling, norms: CueNorms
    ) -> Self:
        """The distribution for a morphable model and its population.

        Raises:
            InputError: model and population do not fit each other, or the population has no such directions.
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

    @classmethod
    def from_pairs(cls, pairs: Pairs) -> Self | None:
        """The distribution that the faces of a paired or synthetic world were drawn from; None for other pairs."""
        coupling = pairs.about.get("coupling")
        if pairs.kind == "own" or pairs.population is None or not isinstance(coupling, Mapping):
            return None
        try:
            norms = pairs.about.get("cue_norms")  # a synthetic world has those of all synthetic worlds
            return cls.from_population(
                pairs.morphable,
                pairs.population,
                Coupling(**{name: _tuples(value) for name, value in coupling.items()}),
                SYNTHETIC_NORMS
                if norms is None
                else CueNorms(**{name: _tuples(value) for name, value in norms.items()}),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"the pairs do not say how their faces were drawn ({error}); make them again") from error

    def correlations(self, sex: Sex) -> NDArray[np.float64]:
        """Correlations (tract, f0) float64 [2] of the scores with their cues."""
        index = "FM".index(sex)
        return np.array([self.coupling.tract[index], self.coupling.f0[index]])

    def expected(self, sex: Sex, f0_hz: float, tract_cm: float) -> Float32:
        """The mean face of all people with such a voice: coefficients float32 [P], with neutral expression."""
        index = "FM".index(sex)
        told = self.correlations(sex) * np.nan_to_num(self.norms.deviations(sex, f0_hz, tract_cm), nan=0.0)
        return self._whole(self.population.mean[index] + told @ self._towards(index))

    def covariance(self, sex: Sex, f0_hz: float, tract_cm: float) -> NDArray[np.float64]:
        """The covariance float64 [K, K] of the identity coefficients of people with such a voice."""
        index = "FM".index(sex)
        known = np.isfinite(self.norms.deviations(sex, f0_hz, tract_cm))
        told = np.where(known, self.correlations(sex), 0.0)[:, None] * self._towards(index)
        return np.asarray(self.population.covariance[index].astype(np.float64) - told.T @ told)

    def draw(self, sex: Sex, f0_hz: float, tract_cm: float, rng: np.random.Generator) -> Float32:
        """A random face of a person with such a voice: coefficients float32 [P], with neutral expression."""
        index = "FM".index(sex)
        cues, r = self.norms.deviations(sex, f0_hz, tract_cm), self.correlations(sex)
        known = np.isfinite(cues)
        face = rng.standard_normal(len(self.roots[index])) @ self.roots[index]
        scores = self.directions[index] @ face
        # A score keeps √(1 − r²) of what the population gave it; the cue gives the rest.
        wanted = np.where(known, r * np.nan_to_num(cues, nan=0.0) + np.sqrt(1 - r**2) * scores, scores)
        return self._whole(self.population.mean[index] + face + (wanted - scores) @ self._towards(index))

    def _towards(self, index: int) -> NDArray[np.float64]:
        """u, float64 [2, K]: expected change of the coefficients per unit of each score."""
        return np.asarray(self.directions[index] @ self.population.covariance[index].astype(np.float64))

    def _whole(self, identity: NDArray[np.float64]) -> Float32:
        return np.concatenate([identity, np.zeros(self.modes - len(identity))]).astype(np.float32)


def _tuples(value: Any) -> Any:
    """A JSON value with tuples for lists."""
    return tuple(_tuples(each) for each in value) if isinstance(value, list | tuple) else value
