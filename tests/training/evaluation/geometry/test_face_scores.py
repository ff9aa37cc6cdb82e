"""Errors of meshes: the same as from coefficients, by hand, and whatever a head's pose."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.head_pairs import head_pairs
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.geometry.are_table import Speakers, geometry_errors, key_point_errors
from voxface.training.evaluation.geometry.face_scores import FaceScores, face_scores, lengths, rigid
from voxface.training.faces.are_metric import REFERENCE, anatomical_pairs

pytestmark = pytest.mark.train
Float64 = NDArray[np.float64]


def scores_of(pairs: Pairs, coefficients: NDArray[np.float32]) -> tuple[NDArray[np.int32], FaceScores]:
    utterances = np.flatnonzero(pairs.utterance_clean).astype(np.int32)
    return utterances, face_scores(pairs, utterances, lambda rows: pairs.morphable.vertices(coefficients[rows]))


def test_meshes_are_measured_as_coefficients_are() -> None:
    pairs = head_pairs(8)
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 1, (int(pairs.utterance_clean.sum()), pairs.morphable.modes)).astype(np.float32)
    utterances, found = scores_of(pairs, drawn)
    expected = geometry_errors(pairs, drawn, utterances)
    speakers = Speakers.of(pairs, utterances)
    assert speakers.names == expected.speakers
    for name, errors in expected.are["anatomical"].items():
        np.testing.assert_allclose(speakers.mean(found.are["anatomical"][name]), errors, atol=1e-5)
    np.testing.assert_allclose(speakers.mean(found.key_points["anatomical"]), expected.key_points, atol=1e-5)
    np.testing.assert_allclose(speakers.mean(found.rms_mm), expected.rms_mm, rtol=1e-4)


def test_the_truth_has_no_error_whatever_its_expression() -> None:
    pairs = head_pairs(8, expression=2)
    utterances = np.flatnonzero(pairs.utterance_clean).astype(np.int32)
    true = pairs.coefficients[pairs.utterance_person[utterances]].copy()
    true[:, pairs.morphable.identity_modes :] = 0  # at rest
    _, found = scores_of(pairs, true)
    for errors in (*found.are["anatomical"].values(), *found.key_points.values(), found.landmarks_mm, found.rms_mm):
        np.testing.assert_allclose(errors, 0, atol=1e-4)
    for name, path in pairs.morphable.measurements.items():
        face = pairs.morphable.vertices(true[:1])
        assert found.measured[name][0] == pytest.approx(lengths(face, {name: path})[name][0])


def test_ratio_and_key_point_errors_by_an_independent_formula() -> None:
    """Written down once more from the published definitions, vertex by vertex, without the code under test."""
    pairs = head_pairs(8)
    model: MorphableModel = pairs.morphable
    predicted = np.random.default_rng(1).normal(0, 1, (1, model.modes)).astype(np.float32)
    found = face_scores(pairs, np.array([4], np.int32), lambda rows: model.vertices(predicted))
    mine = [[float(x) for x in row] for row in model.vertices(predicted[0])]
    true = [[float(x) for x in row] for row in model.vertices(pairs.coefficients[int(pairs.utterance_person[4])])]

    def apart(face: list[list[float]], a: int, b: int) -> float:
        return math.dist(face[a], face[b])

    ends = anatomical_pairs(model.landmarks)
    eyes = ends.pop(REFERENCE)
    for name, (a, b) in ends.items():
        expected = abs(apart(mine, a, b) / apart(mine, *eyes) - apart(true, a, b) / apart(true, *eyes))
        assert found.are["anatomical"][name][0] == pytest.approx(expected, abs=1e-6)
    scale = apart(true, *eyes) / apart(mine, *eyes)
    middle = [[(face[eyes[0]][k] + face[eyes[1]][k]) / 2 for k in range(3)] for face in (mine, true)]
    marks = [int(v) for v in model.landmarks]
    total = sum(
        (scale * (mine[v][k] - middle[0][k]) - (true[v][k] - middle[1][k])) ** 2 for v in marks for k in range(3)
    )
    width, height = (max(true[v][k] for v in marks) - min(true[v][k] for v in marks) for k in (0, 1))
    assert found.key_points["anatomical"][0] == pytest.approx((total / (width * height)) ** 0.5, rel=1e-5)


def test_key_points_scale_by_the_eye_distance_they_are_given() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=(1, 68, 3)) * 50
    ends = rng.normal(size=(1, 2, 3)) * 40
    # The same face, a third as large and elsewhere, by another pair of points.
    mine, moved = true / 3 + 7, ends / 3 + 7
    assert key_point_errors(mine, true, (moved, ends)) == pytest.approx([0], abs=1e-12)
    assert key_point_errors(mine, true)[0] == pytest.approx(0, abs=1e-12)
    assert key_point_errors(mine, true, (2 * moved, ends))[0] > 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(-3, 3), st.floats(-50, 50))
def test_landmark_errors_do_not_see_a_pose(seed: int, angle: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(1, 30, 3)) * 40
    c, s = np.cos(angle), np.sin(angle)
    turned = points @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]).T + shift
    turn, move = rigid(turned, points)
    np.testing.assert_allclose(turned @ turn.transpose(0, 2, 1) + move, points, atol=1e-9)
    assert np.linalg.det(turn)[0] == pytest.approx(1)
    mirrored = points * [-1, 1, 1]
    turn, _ = rigid(mirrored, points)
    assert np.linalg.det(turn)[0] == pytest.approx(1)  # never a mirror


def test_landmarks_in_mm_know_a_head_that_is_too_large() -> None:
    pairs = head_pairs(8)
    model = pairs.morphable
    truth = model.vertices(pairs.coefficients[0])
    found = face_scores(pairs, np.array([0], np.int32), lambda rows: (1.1 * truth + 5)[None].astype(np.float32))
    marks = truth[model.landmarks].astype(np.float64)
    # Best moved, a head a tenth too large is off by a tenth of each landmark's distance from their middle.
    expected = 0.1 * np.linalg.norm(marks - marks.mean(0), axis=1).mean()
    assert found.landmarks_mm[0] == pytest.approx(expected, rel=1e-4)
    assert found.mean_are()[0] == pytest.approx(0, abs=1e-5)


def test_speakers_means_by_hand() -> None:
    pairs = head_pairs(8)
    people = tuple(
        dataclasses.replace(p, speaker="ann" if k < 2 else p.speaker, split="test") for k, p in enumerate(pairs.people)
    )
    pairs = dataclasses.replace(pairs, people=people)
    # Two utterances of person 0, one of person 1 (the same speaker), one of person 2.
    speakers = Speakers.of(pairs, np.array([0, 1, 4, 8], np.int32))
    assert speakers.names == ("ann", "s2")
    assert speakers.mean(np.array([1.0, 3.0, 6.0, 5.0])) == pytest.approx([4.0, 5.0])


def test_no_utterances() -> None:
    pairs = head_pairs(8)
    with pytest.raises(ValueError, match="no utterances"):
        face_scores(pairs, np.array([], np.int32), lambda rows: np.zeros((0, 1, 3), np.float32))
