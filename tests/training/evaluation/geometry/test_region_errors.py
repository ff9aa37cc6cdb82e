"""Regions after ICP: nothing is left of a pose, a bump stays, and only in its region."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_head import small_head
from tests.stand_ins.sphere import sphere
from voxface.training.evaluation.geometry.region_errors import REGIONS, NearestPoints, Regions, left_over

pytestmark = pytest.mark.train
HEAD = small_head()


def turned(
    vertices: NDArray[np.float32], about: tuple[float, float, float], shift: tuple[float, float, float]
) -> NDArray[np.float32]:
    angle = float(np.linalg.norm(about)) or 1e-30
    x, y, z = np.array(about) / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    return np.asarray(vertices @ turn.T + np.array(shift), np.float32)


def test_regions_are_apart_and_where_their_landmarks_are() -> None:
    regions = Regions.of(HEAD)
    assert set(regions.points) == set(REGIONS)
    every = np.concatenate(list(regions.points.values()))
    assert len(set(every)) == len(every)
    for name, points in regions.points.items():
        marks = HEAD.mean[HEAD.landmarks[list(REGIONS[name])]]
        near = np.linalg.norm(HEAD.mean[points][:, None] - marks, axis=2).min(1)
        assert near.max() < 20
        assert set(points) <= set(regions.surface[name])


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.floats(-0.6, 0.6)] * 3), st.tuples(*[st.floats(-80, 80)] * 3), st.integers(0, 100))
def test_a_pose_leaves_no_error(
    about: tuple[float, float, float], shift: tuple[float, float, float], seed: int
) -> None:
    truth = HEAD.vertices(np.random.default_rng(seed).normal(size=HEAD.modes).astype(np.float32))
    found = Regions.of(HEAD).truth(truth).errors(turned(truth, about, shift))
    assert set(found) == set(REGIONS)
    assert max(found.values()) < 0.01


def test_only_the_region_that_differs_has_an_error() -> None:
    regions = Regions.of(HEAD)
    longer = HEAD.mean.copy()
    tip = HEAD.mean[HEAD.landmarks[30]]
    longer += (8 * np.exp(-(np.linalg.norm(HEAD.mean - tip, axis=1) ** 2) / 50))[:, None] * [0, 0, 1]
    found = regions.truth(HEAD.mean).errors(longer.astype(np.float32))
    assert found["nose"] > 0.4
    assert max(value for name, value in found.items() if name != "nose") < 0.15 * found["nose"]


def test_the_distance_is_along_the_normals() -> None:
    # Concentric spheres of 90 and 93 mm: nothing moves, and every point is 3 mm from its plane.
    model = sphere()
    unit = model.mean.astype(np.float64) / 90
    assert left_over(93 * unit, 90 * unit, unit) == pytest.approx(3, abs=1e-6)
    # A plane: points slide in it and may come onto it, whatever their distance.
    rng = np.random.default_rng(0)
    plane = np.concatenate([rng.uniform(-50, 50, (400, 2)), np.zeros((400, 1))], axis=1)
    up = np.tile([0.0, 0.0, 1.0], (400, 1))
    assert left_over(plane[:50] + np.array([3, 4, 9]), plane, up) == pytest.approx(0, abs=1e-9)


def test_a_model_without_room_for_regions_has_none() -> None:
    few = sphere(parts=np.full(722, 4, np.uint8))  # all scalp
    assert not Regions.of(few).points


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 20))
def test_the_nearest_are_found_however_far_points_move(seed: int, far: float) -> None:
    rng = np.random.default_rng(seed)
    surface, points = rng.normal(0, 30, (300, 3)), rng.normal(0, 30, (40, 3))
    find = NearestPoints(surface)
    for _ in range(6):
        expected = np.linalg.norm(points[:, None] - surface, axis=2).argmin(1)
        np.testing.assert_array_equal(find(points), expected)
        points = points + rng.normal(0, far / 3, (40, 3))
    few = NearestPoints(surface[:5])
    np.testing.assert_array_equal(few(points), np.linalg.norm(points[:, None] - surface[:5], axis=2).argmin(1))
    np.testing.assert_array_equal(few(points), np.linalg.norm(points[:, None] - surface[:5], axis=2).argmin(1))
