"""Small pairs whose faces are those of a small head, with measurements, regions and ratios that mean something."""

import dataclasses

import numpy as np

from tests.stand_ins.small_head import small_head
from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.training.data.pairs import Pairs


def head_pairs(people: int = 16, seed: int = 0, *, expression: int = 0) -> Pairs:
    """`small_pairs` with ten coefficients a person; the last `expression` modes are an expression, which true faces have."""
    head = small_head()
    marks = [int(v) for v in head.landmarks]
    measurements = {
        "face_length": (marks[27], marks[8]),
        "jaw_width": (marks[4], marks[12]),
        "nose_length": (marks[27], marks[30], marks[33]),
    }
    model = dataclasses.replace(head, measurements=measurements, identity_modes=head.modes - expression)
    pairs = small_pairs(people, seed)
    drawn = np.random.default_rng([varied(seed), 3]).normal(0, 1, (people, model.modes))
    coefficients = (model.sex_means[pairs.sexes] + drawn).astype(np.float32)
    return dataclasses.replace(
        pairs, morphable=model, coefficients=coefficients, expected=coefficients.copy(), digest=f"head-{people}-{seed}"
    )
