"""Errors of geometry against ones computed by hand, vertex by vertex, on the sphere."""

import dataclasses

import numpy as np
import pytest

from tests.stand_ins.small_pairs import small_pairs
from tests.stand_ins.sphere import sphere
from voxface.training.data.pairs import Pairs, Person
from voxface.training.evaluation.geometry.are_table import RATIOS, geometry_errors, ratios, relative_gain
from voxface.training.faces.are_metric import anatomical_pairs, are_ratios

EAR = {"outer_interocular": (0, 1), "ear": (2, 3)}


def cube() -> Pairs:
    """Small pairs with a model of landmarks on a line: mode 0 moves landmark 16, mode 1 (expression) landmark 8."""
    model = sphere()
    mean = np.zeros_like(model.mean)
    mean[36], mean[45] = (-50, 0, 0), (50, 0, 0)  # between the eyes: 100 mm
    mean[0], mean[16] = (-80, 0, 0), (80, 0, 0)  # ear 1.6
    mean[17], mean[26] = (-60, 50, 0), (60, 50, 0)  # forehead 1.2
    mean[27], mean[8] = (0, 10, 0), (0, -100, 0)  # midline 1.1
    mean[1], mean[15] = (-70, -20, 0), (70, -20, 0)  # cheek 1.4
    basis = np.zeros_like(model.basis)
    basis[0, 16] = (10, 0, 0)
    basis[1, 8] = (0, -5, 0)
    moved = dataclasses.replace(model, mean=mean, basis=basis, identity_modes=1)
    pairs = small_pairs(4)
    people = tuple(Person(f"p{i}", "ann" if i < 2 else f"s{i}", "F", "test") for i in range(4))
    return dataclasses.replace(
        pairs, morphable=moved, people=people, coefficients=np.zeros((4, 2), np.float32), expected=np.zeros((4, 2), "f")
    )


def test_are_by_hand() -> None:
    pairs = cube()
    # One utterance of person 0 off by one mode, 10 mm of 100: 0.1 too long an ear; another by two. Person 1 is right,
    # person 2 is off by -3; person 3 is not asked.
    utterances = np.array([0, 1, 4, 8], np.int32)
    predicted = np.array([[1, 0], [2, 0], [0, 0], [-3, 0]], np.float32)
    errors = geometry_errors(pairs, predicted, utterances)
    assert errors.speakers == ("ann", "s2")
    assert list(errors.are) == ["anatomical"]
    assert tuple(errors.are["anatomical"]) == RATIOS
    # Speaker ann: mean of person 0 (mean of 0.1 and 0.2) and person 1 (0).
    assert errors.are["anatomical"]["ear"] == pytest.approx([0.075, 0.3])
    for name in ("forehead", "midline", "cheek"):
        assert errors.are["anatomical"][name] == pytest.approx([0, 0], abs=1e-12)
    assert errors.mean_are() == pytest.approx([0.075 / 4, 0.3 / 4])
    assert errors.summary["are"] == pytest.approx((0.075 + 0.3) / 8)
    assert errors.summary["are_ear"] == pytest.approx(0.1875)


def test_expression_counts_only_where_asked() -> None:
    pairs = cube()
    predicted = np.array([[0, 2]], np.float32)  # the chin 10 mm lower
    assert geometry_errors(pairs, predicted, np.array([0], np.int32)).summary["are"] == 0
    whole = geometry_errors(pairs, predicted, np.array([0], np.int32), neutral=False)
    assert whole.summary["are_midline"] == pytest.approx(0.1)
    # One vertex of 722 is off by 10 mm.
    assert whole.rms_mm == pytest.approx([np.sqrt(100 / 722)])


def test_key_points_by_hand() -> None:
    pairs = cube()
    errors = geometry_errors(pairs, np.array([[1, 0]], np.float32), np.array([0], np.int32))
    # One landmark off by 10 mm; the landmarks reach 160 mm across and from 50 to -100 mm.
    assert errors.key_points == pytest.approx([10 / np.sqrt(160 * 150)])


def test_key_points_do_not_see_the_size_of_a_head() -> None:
    pairs = cube()
    model = pairs.morphable
    basis = model.basis.copy()
    basis[0] = 0.1 * model.mean + np.array([3, 4, 5])  # larger by a tenth, and moved
    larger = dataclasses.replace(pairs, morphable=dataclasses.replace(model, basis=basis))
    errors = geometry_errors(larger, np.array([[1, 0]], np.float32), np.array([0], np.int32))
    assert errors.key_points == pytest.approx([0], abs=1e-6)
    assert errors.summary["are"] == pytest.approx(0, abs=1e-6)
    assert errors.rms_mm[0] > 5


def test_ratios_are_those_of_single_meshes() -> None:
    model = sphere()
    pairs = anatomical_pairs(model.landmarks)
    coefficients = np.random.default_rng(0).normal(0, 3, (5, 2))
    found = ratios(model, coefficients, pairs)
    for row, alpha in enumerate(coefficients):
        expected = are_ratios(model.vertices(alpha.astype(np.float32)), pairs)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected, rel=1e-5)


def test_rms_is_that_of_the_vertices() -> None:
    pairs = small_pairs(8)
    predicted = np.random.default_rng(1).normal(0, 3, (len(pairs.utterance_person), 2)).astype(np.float32)
    errors = geometry_errors(pairs, predicted, np.arange(len(predicted), dtype=np.int32))
    off = pairs.morphable.vertices(predicted) - pairs.morphable.vertices(pairs.coefficients[pairs.utterance_person])
    rms = np.sqrt(np.square(off).sum(2).mean(1))
    order = np.argsort([person.speaker for person in pairs.people])
    assert errors.rms_mm == pytest.approx([rms[pairs.utterance_person == i].mean() for i in order], rel=1e-4)


def test_paper_pairs_stand_beside_the_anatomical_ones() -> None:
    pairs = small_pairs(4)
    both = {**{f"paper_{name}": ends for name, ends in EAR.items()}, "ear": (4, 5)}
    model = dataclasses.replace(pairs.morphable, are_pairs=both)
    errors = geometry_errors(
        dataclasses.replace(pairs, morphable=model), np.ones((1, 2), np.float32), np.array([0], np.int32)
    )
    assert set(errors.are) == {"anatomical", "paper"}
    assert list(errors.are["paper"]) == ["ear"]
    assert errors.summary["paper_are"] == errors.summary["paper_are_ear"]


def test_wrong_numbers_of_predictions() -> None:
    with pytest.raises(ValueError, match="1 predictions of 2 utterances"):
        geometry_errors(small_pairs(4), np.zeros((1, 2), np.float32), np.array([0, 1], np.int32))
    with pytest.raises(ValueError, match="0 utterances"):
        geometry_errors(small_pairs(4), np.zeros((0, 2), np.float32), np.array([], np.int32))


def test_relative_gain_by_hand() -> None:
    base = np.array([0.04, 0.02, 0.06, 0.04])
    gain = relative_gain(0.75 * base, base)
    assert gain.gain == pytest.approx(0.25)
    assert (gain.low, gain.high) == pytest.approx((0.25, 0.25))  # a quarter less for everybody, whoever is drawn
    rng = np.random.default_rng(0)
    base = rng.uniform(0.02, 0.08, 40)
    noisy = relative_gain(base * rng.uniform(0.6, 1.2, 40), base)
    assert noisy.low < noisy.gain < noisy.high
    assert noisy.gain == pytest.approx(0.1, abs=0.06)
    with pytest.raises(ValueError, match="same speakers"):
        relative_gain(base[:3], base)
