"""A scan beside a mean face: the similarity between them, the distances and their colours; angles between modes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.head_depth import principal_angles
from benchmarks.scan_distance import FULL_MM, GREY, ScanFit, error_colours, regions

pytest.importorskip("open3d")


def face() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bumpy half ellipsoid: vertices float64 [N, 3], triangles int32 [F, 3], 68 vertices as marks; mark 30 is the tip."""
    x, y = np.meshgrid(np.linspace(-70, 70, 57), np.linspace(-95, 60, 63), indexing="ij")
    z = 60 * np.sqrt(np.clip(1.6 - (x / 75) ** 2 - ((y + 20) / 110) ** 2, 0, None)) - 60
    z = (
        z
        + 18 * np.exp(-((x / 9) ** 2 + ((y + 35) / 14) ** 2))
        - 6 * np.exp(-(((np.abs(x) - 32) / 10) ** 2) - (y / 8) ** 2)
    )
    k = np.arange(x.size).reshape(x.shape)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    marks = np.linspace(0, x.size - 1, 68).astype(int)
    marks[30] = vertices[:, 2].argmax()
    return vertices, triangles.astype(np.int32), marks


def model_of(triangles: np.ndarray, marks: np.ndarray) -> Any:
    return SimpleNamespace(triangles=triangles, landmarks=marks)


def test_a_scan_comes_back_from_another_size_pose_and_place() -> None:
    vertices, triangles, marks = face()
    cos, sin = np.cos(0.3), np.sin(0.3)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    # The marks of the scan are wrong by millimetres, as any are; the surface settles it.
    scan = 1.1 * vertices @ turn.T + np.array([30.0, -12, 400])
    wrong = scan[marks] + np.random.default_rng(0).normal(0, 2.0, (68, 3))
    wrong[30] = scan[marks[30]]
    fit = ScanFit(vertices.astype(np.float32), model_of(triangles, marks), scan, wrong)
    assert np.abs(fit.signed[fit.face]).max() < 0.5
    np.testing.assert_allclose(fit.placed[fit.face], vertices[fit.face], atol=1.0)
    found = fit.summary()
    assert found["median_mm"] < 0.05
    assert set(found["median_mm_by_region"]) == set(regions(vertices))


def test_distances_are_positive_in_front_and_in_millimetres_of_the_scan() -> None:
    vertices, triangles, marks = face()
    # Half of the face bulges by three millimetres of a scan twice as large: a few of its points, which the fit leaves out.
    dent = np.exp(-(((vertices[:, 0] - 30) / 8) ** 2 + ((vertices[:, 1] + 55) / 8) ** 2))
    for depth in (3.0, -3.0):
        scan = 2 * vertices + np.array([0, 0, depth]) * dent[:, None]
        fit = ScanFit(vertices.astype(np.float32), model_of(triangles, marks), scan, scan[marks])
        most = np.abs(fit.signed[fit.face]).argmax()
        assert fit.signed[fit.face][most] == pytest.approx(depth, rel=0.25)
        assert dent[fit.face][most] > 0.8


def test_regions_do_not_overlap_and_cover_the_face() -> None:
    vertices, *_ = face()
    counted = np.sum(list(regions(vertices).values()), axis=0)
    assert (counted == 1).all()


def test_colours_say_which_is_in_front_and_where_there_is_no_scan() -> None:
    vertices, triangles, _ = face()
    mean = vertices.astype(np.float32)
    near = np.abs(vertices[:, 0]) < 40
    middle = (np.abs(vertices[:, 0]) < 15) & (vertices[:, 1] > -80) & (vertices[:, 1] < 45)
    outside = np.abs(vertices[:, 0]) > 48
    for shift, channel in ((FULL_MM, 0), (-FULL_MM, 2)):
        colours = error_colours(mean, vertices + np.array([0, 0, shift]), triangles, near)
        assert (colours[middle, channel] > colours[middle, 2 - channel]).all()
        np.testing.assert_allclose(colours[outside], GREY, rtol=1e-6)
    # The scan itself has no distance.
    np.testing.assert_allclose(error_colours(mean, vertices, triangles, near)[middle], 0.93, atol=0.01)


def test_principal_angles() -> None:
    rows = np.eye(6)[:3]
    angle = np.radians([0.0, 30.0, 90.0])
    others = np.cos(angle)[:, None] * rows + np.sin(angle)[:, None] * np.eye(6)[3:]
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] @ others
    np.testing.assert_allclose(principal_angles(rows, mixed), [0, 30, 90], atol=1e-5)
