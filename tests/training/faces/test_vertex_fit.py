"""Faces whose vertices are known are found again, in any pose, scale and unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.small_bfm import small_bfm
from voxface.training.faces.aligned_picture import similarity
from voxface.training.faces.vertex_fit import VertexFitter

BFM = small_bfm()
FITTER = VertexFitter(BFM)


def turn(rng: np.random.Generator) -> NDArray[np.float64]:
    found, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(found * np.sign(np.linalg.det(found)))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-4, 1e4))
def test_a_face_is_found_whatever_its_pose_and_scale(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=BFM.modes).astype(np.float32)
    points = scale * BFM.vertices(true[None])[0].astype(np.float64) @ turn(rng).T + rng.normal(0, 100 * scale, 3)
    found, rms = FITTER.fit(points)
    assert rms < 0.2
    # The size of a face cannot be seen in a picture's units. Of all faces of this shape it is the likeliest.
    assert np.square(found).sum() < np.square(true).sum() + 0.1
    shape = BFM.vertices(found[None])[0].astype(np.float64)
    by, rotation, shift = similarity(points, shape)
    assert np.sqrt(np.square(by * points @ rotation.T + shift - shape).sum(1).mean()) == pytest.approx(rms, abs=1e-4)


def test_the_pose_does_not_matter_at_all() -> None:
    rng = np.random.default_rng(1)
    points = BFM.vertices(rng.normal(size=(1, BFM.modes)).astype(np.float32))[0].astype(np.float64)
    here, _ = FITTER.fit(points)
    there, _ = FITTER.fit(3e3 * points @ turn(rng).T + [1, 2, 3])
    np.testing.assert_allclose(there, here, atol=1e-3)


def test_what_is_no_face_is_far_from_any() -> None:
    rng = np.random.default_rng(2)
    _, rms = FITTER.fit(rng.normal(0, 60, BFM.mean.shape))
    assert rms > 20
    with pytest.raises(ValueError, match="vertices"):
        FITTER.fit(np.zeros((5, 3)))
