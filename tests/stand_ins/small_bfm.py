"""A head that has BFM-2009's name and its 40 + 10 modes, as 3DDFA-V2 keeps them; nothing else of it."""

from dataclasses import replace

import numpy as np

from tests.stand_ins.small_head import small_head
from voxface.runtime.face.morphable_model import MorphableModel


def small_bfm() -> MorphableModel:
    """`small_head` with 40 modes of identity, of which the first ten are its own, and ten of expression about the mouth."""
    head = small_head()
    places = head.mean.astype(np.float64) / 60
    rng = np.random.default_rng(20)
    waves = rng.normal(0, 1.5, (40, 3))
    bumps = np.sin(places @ waves.T + rng.uniform(0, 6, 40)).T[..., None] * rng.normal(size=(40, 1, 3))
    mouth = np.exp(-np.square(head.mean - head.mean[head.landmarks[62]]).sum(1) / 30**2)
    more = [*(0.6 * bumps[:30]), *(2.0 * mouth[:, None] * bumps[30:])]
    basis = np.concatenate([head.basis, np.array(more, np.float32)])
    sexes = np.zeros((2, 50), np.float32)
    sexes[:, 0] = (-1, 1)
    return replace(
        head, name="bfm2009-noneck", version="53215", basis=basis, identity_modes=40, sex_means=sexes, face_types={}
    )
