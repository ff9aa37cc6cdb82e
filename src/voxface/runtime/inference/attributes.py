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
