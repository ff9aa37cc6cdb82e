"""Sex and face type, read off a mesh (Wu 2022, §4.4), beside the age that was heard."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.speech_modulation import logistic
from voxface.runtime.inference.age import Age, AgeHeard

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Attributes:
    """Sex and face type of a mesh, found as in Wu 2022, §4.4, the distances that they follow from, and the speaker's age.

    Attributes:
        sex: probability of "female" and "male"; sums to one.
        face_type: the nearest typical face; "unknown" where the morphable model has none.
        distances_mm: RMS distance over vertices, in millimetres, to the mean woman ("female"), to the mean man ("male"), and
            to each typical face after the mean face of its sex was subtracted from both.
        age: an adult's age; None of a child's voice, and where the bundle does not tell ages.
        child: the probability that the voice is a child's; None where the bundle does not tell.
        is_child: whether that is enough to tell the voice as a child's.
    """

    sex: dict[str, float]
    face_type: str
    distances_mm: dict[str, float]
    age: Age | None = None
    child: float | None = None
    is_child: bool = False


def sex_in_words(sex: Mapping[str, float]) -> str:
    """The likelier sex and its probability, "female (97%)"; below 60 % it is "unclear (female 52%)"."""
    likelier, chance = max(sex.items(), key=lambda item: item[1])
    return f"{likelier} ({chance:.0%})" if chance >= 0.6 else f"unclear ({likelier} {chance:.0%})"


def age_in_words(attributes: Mapping[str, Any]) -> str:
    """What `attributes_json` tells of the age, "about 34 years old (22 to 52)" or "a child's voice (97%)"; "" for nothing."""
    age = attributes["age"]
    if attributes["is_child"]:
        return f"a child's voice ({attributes['child']:.0%})"
    return "" if age is None else f"about {age['years']:.0f} years old ({age['low']:.0f} to {age['high']:.0f})"


def sex_evidence(model: MorphableModel, coefficients: Float32) -> float:
    """Log-likelihood ratio, women over men, of a mesh of coefficients float32 [P].

    Women and men are two normal populations of equal spread, `sex_scale`, around the mean woman and the mean man.
    """
    apart = model.place(coefficients) - model.sex_places
    return _evidence(model, *np.einsum("sp,sp->s", apart, apart).tolist())


def read_attributes(
    model: MorphableModel, coefficients: Float32, sex_slope: float = 1.0, heard: AgeHeard | None = None
) -> Attributes:
    """Sex and face type of the mesh of coefficients float32 [P].

    Args:
        sex_slope: factor of the mesh's evidence, which makes the probability that of the *speaker*'s sex: of all faces given
            90 %, nine in ten are right. A bundle carries its own, fitted to people that it was not trained on. With 1 the
            probability is that of a mesh drawn from the population.
        heard: what the voice tells of the age; None: nothing.
    """
    return attributes_of(model, model.place_among_types(coefficients)[1], sex_slope, heard)


def attributes_of(model: MorphableModel, squares: list[float], sex_slope: float, heard: AgeHeard | None) -> Attributes:
    """The same from the squared distances of the mesh to the typical faces, see `MorphableModel.place_among_types`."""
    half = len(squares) // 2
    women, men = squares[:half], squares[half:]
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
    sex = {"female": female, "male": 1 - female}
    if heard is None:
        return Attributes(sex, face_type, sexes | types)
    return Attributes(sex, face_type, sexes | types, heard.age, heard.child, heard.is_child)


def attributes_json(attributes: Attributes) -> dict[str, Any]:
    """The attributes as JSON; null stands for what is not told."""
    age = attributes.age
    return {
        "sex": attributes.sex,
        "face_type": attributes.face_type,
        "distances_mm": attributes.distances_mm,
        "age": None if age is None else {"years": age.years, "low": age.low, "high": age.high},
        "child": attributes.child,
        "is_child": attributes.is_child,
    }


def _evidence(model: MorphableModel, women: float, men: float) -> float:
    """The log-likelihood ratio, from the squared distances of a face to the mean woman and to the mean man."""
    return (men - women) / (2 * model.sex_scale**2)
