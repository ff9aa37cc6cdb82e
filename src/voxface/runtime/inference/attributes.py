"""Sex and face type, read off a mesh (Wu 2022, §4.4)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.speech_modulation import logistic

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Attributes:
    """Sex and face type of a mesh, found as in Wu 2022, §4.4, and the distances that they follow from.

    Attributes:
        sex: probability of "female" and "male"; sums to one.
        face_type: the nearest typical face; "unknown" where the morphable model has none.
        distances_mm: RMS distance over vertices, in millimetres, to the mean woman ("female"), to the mean man ("male"), and
            to each typical face after the mean face of its sex was subtracted from both.
    """

    sex: dict[str, float]
    face_type: str
    distances_mm: dict[str, float]


def sex_in_words(sex: Mapping[str, float]) -> str:
    """The likelier sex and its probability, "female (97%)"; below 60 % it is "unclear (female 52%)"."""
    likelier, chance = max(sex.items(), key=lambda item: item[1])
    return f"{likelier} ({chance:.0%})" if chance >= 0.6 else f"unclear ({likelier} {chance:.0%})"


def sex_evidence(model: MorphableModel, coefficients: Float32) -> float:
    """Log-likelihood ratio, women over men, of a mesh of coefficients float32 [P].

    Women and men are two normal populations of equal spread, `sex_scale`, around the mean woman and the mean man.
    """
    apart = model.place(coefficients) - model.sex_places
    return _evidence(model, *np.einsum("sp,sp->s", apart, apart).tolist())


def read_attributes(model: MorphableModel, coefficients: Float32, sex_slope: float = 1.0) -> Attributes:
    """Sex and face type of the mesh of coefficients float32 [P].

    Args:
        sex_slope: factor of the mesh's evidence, which makes the probability that of the *speaker*'s sex: of all faces given
            90 %, nine in ten are right. A bundle carries its own, fitted to people that it was not trained on. With 1 the
            probability is that of a mesh drawn from the population.
    """
    apart = model.place(coefficients) - model.type_places
    women, men = np.einsum("stp,stp->st", apart, apart).tolist()
    female = logistic(sex_slope * _evidence(model, women[0], men[0]))
    # Types are compared after the mean of the sexes, mixed by their probabilities, was subtracted from each face, because a
    # small face is not a slim one. The distance to the mixed face follows from the distances to both by Stewart's theorem.
    mixed = female * (1 - female) * model.sexes_apart**2
    types = {
        name: math.sqrt(max(0.0, female * woman + (1 - female) * man - mixed))
        for name, woman, man in zip(model.face_types, women[1:], men[1:], strict=True)
    }
    face_type = min(types, key=types.__getitem__, default="unknown")
    sexes = {"female": math.sqrt(women[0]), "male": math.sqrt(men[0])}
    return Attributes({"female": female, "male": 1 - female}, face_type, sexes | types)


def _evidence(model: MorphableModel, women: float, men: float) -> float:
    """The log-likelihood ratio, from the squared distances of a face to the mean woman and to the mean man."""
    return (men - women) / (2 * model.sex_scale**2)
