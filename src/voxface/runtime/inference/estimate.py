"""What voxface says about a voice: the face, the mesh, and how sure it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.speech_modulation import logistic

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Attributes:
    """Sex and face type read off the mesh, as Wu 2022 (§4.4) does, with the distances behind them.

    Attributes:
        sex: probability of "female" and "male"; sums to one.
        face_type: the nearest typical face; "unknown" where the morphable model has none.
        distances_mm: RMS distance over vertices to the mean woman and man, and to each typical face once the mean face of
            the own sex is taken out of both.
    """

    sex: dict[str, float]
    face_type: str
    distances_mm: dict[str, float]


@dataclass(frozen=True)
class Estimate:
    """One face from one stretch of voice.

    Attributes:
        start, end: absolute samples (16 kHz) the estimate used.
        voiced_seconds: speech among them.
        frames: log-mel frames of that speech.
        embedding: float32 [64], unit length.
        columns: float32 [E, C], the voice encoder's, one each 0.32 s of speech: the embedding is their mean, made unit length.
        image: uint8 [H, W, 3], RGB.
        drawn: float32 [64], the embedding the picture is of: this one's, or one before that is hardly another.
        coefficients: float32 [P], unit-normal space of the morphable model.
        model: the morphable model.
        confidence: 0 to 1, from how much it moves as speech does, how far the voice agrees with itself, and its length.
        attributes: read off the mesh.
        stages_ns: time of each stage.
    """

    start: int
    end: int
    voiced_seconds: float
    frames: int
    embedding: Float32
    columns: Float32
    image: NDArray[np.uint8]
    drawn: Float32
    coefficients: Float32
    model: MorphableModel
    confidence: float
    attributes: Attributes
    stages_ns: dict[str, int]

    @cached_property
    def measurements_mm(self) -> dict[str, float]:
        """Read off the mesh; made when first asked for, since a window shows none."""
        return self.model.measurements_of(self.coefficients)

    @cached_property
    def vertices(self) -> Float32:
        """The mesh, float32 [N, 3], millimetres; made when first asked for, since not every sink wants one."""
        return self.model.vertices(self.coefficients)

    @property
    def picture_kept(self) -> bool:
        """Whether the picture is that of an estimate before, since the embedding has hardly moved."""
        return self.drawn is not self.embedding

    def moved_mm(self, before: "Estimate") -> float:
        """How far the mesh has moved since another estimate, RMS over vertices in millimetres."""
        return self.model.distance(self.coefficients, before.coefficients)


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """What an estimate says, as JSON (design §4); the picture and the vertices are files' business."""
    return {
        "embedding": estimate.embedding.tolist(),
        "coefficients": estimate.coefficients.tolist(),
        "measurements_mm": estimate.measurements_mm,
        "attributes": {
            "sex": estimate.attributes.sex,
            "face_type": estimate.attributes.face_type,
            "distances_mm": estimate.attributes.distances_mm,
        },
        "confidence": estimate.confidence,
    }


def sex_in_words(sex: Mapping[str, float]) -> str:
    """The likelier sex and its probability, "female (97%)"; below 60 % it is "unclear (female 52%)"."""
    likelier, chance = max(sex.items(), key=lambda item: item[1])
    return f"{likelier} ({chance:.0%})" if chance >= 0.6 else f"unclear ({likelier} {chance:.0%})"


def sex_evidence(model: MorphableModel, coefficients: Float32) -> float:
    """How much likelier a mesh of coefficients float32 [P] is among women than among men, as a logarithm: two normal
    populations of equal spread, `sex_scale`, around the mean woman and the mean man."""
    apart = model.place(coefficients) - model.sex_places
    return _evidence(model, *np.einsum("sp,sp->s", apart, apart).tolist())


def read_attributes(model: MorphableModel, coefficients: Float32, sex_slope: float = 1.0) -> Attributes:
    """Sex and face type of the mesh of coefficients float32 [P].

    Args:
        sex_slope: what the evidence of the mesh is multiplied with, so that the probability is that of the *speaker*'s sex
            and as often right as it says; a bundle carries its own, from people it has not learnt from. At 1 the
            probability is that of a mesh drawn from the population.
    """
    apart = model.place(coefficients) - model.type_places
    women, men = np.einsum("stp,stp->st", apart, apart).tolist()
    female = logistic(sex_slope * _evidence(model, women[0], men[0]))
    # A small face is not a slim one: types are compared after taking each face's own sex out of it. That is as far from one of
    # the mean of the sexes, in these shares, as Stewart's theorem says from how far it is from either.
    mixed = female * (1 - female) * model.sexes_apart**2
    types = {
        name: math.sqrt(max(0.0, female * woman + (1 - female) * man - mixed))
        for name, woman, man in zip(model.face_types, women[1:], men[1:], strict=True)
    }
    face_type = min(types, key=types.__getitem__, default="unknown")
    sexes = {"female": math.sqrt(women[0]), "male": math.sqrt(men[0])}
    return Attributes({"female": female, "male": 1 - female}, face_type, sexes | types)


def _evidence(model: MorphableModel, women: float, men: float) -> float:
    """Of the squares of a face's distances from the mean woman and the mean man."""
    return (men - women) / (2 * model.sex_scale**2)
