"""Photographs brought to the place and size of the rendered pictures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.own_people import HEAD
from voxface.training.faces.aligned_picture import Template, similarity

pytestmark = pytest.mark.train


def test_a_similarity_is_found_again() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 2))
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    scale, found, shift = similarity(points, 2.5 * points @ turn.T + [3, -4])
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(found, turn, atol=1e-9)
    np.testing.assert_allclose(shift, [3, -4], atol=1e-9)


@pytest.mark.parametrize("size", [0.4, 1.7, 9.0])
def test_a_face_is_brought_to_its_place_from_pictures_of_any_size(size: float) -> None:
    """A disc at the tip of the nose comes to where the template has it, as large as it should be."""
    template = Template.of_model(HEAD)
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = size * (template.landmarks - 32) @ turn.T + 60 * size
    side = int(120 * size)
    y, x = np.mgrid[:side, :side] + 0.5
    nose = landmarks[30]
    inside = np.hypot(x - nose[0], y - nose[1]) < 6 * size
    picture = np.where(inside[..., None], [250, 40, 40], [20, 90, 20]).astype(np.uint8)
    seen = template.align(picture, landmarks)
    assert seen.shape == (64, 64, 3)
    red = seen[..., 0].astype(float) - 20
    at = np.array([(np.arange(64) + 0.5) @ red.sum(0), (np.arange(64) + 0.5) @ red.sum(1)]) / red.sum()
    np.testing.assert_allclose(at, template.landmarks[30], atol=0.4)
    assert red.sum() / 230 == pytest.approx(np.pi * 36, rel=0.12)


def test_beyond_the_photograph_it_is_grey() -> None:
    template = Template.of_model(HEAD)
    seen = template.align(np.zeros((10, 10, 3), np.uint8), template.landmarks + 200)
    assert (seen == 127).all()


def test_rendered_faces_are_aligned_to_themselves() -> None:
    pytest.importorskip("open3d")
    from voxface.training.world.pictures import PersonRenderer, PictureConfig

    still = PictureConfig(each=1, yaw=0, pitch=0, roll=0, expression=0)
    picture: NDArray[np.uint8] = PersonRenderer.from_model(HEAD, still).render(np.zeros(HEAD.modes, np.float32), (1,))[
        0
    ]
    template = Template.of_model(HEAD)
    seen = template.align(picture, template.landmarks)
    assert np.abs(seen.astype(int) - picture).mean() < 6
