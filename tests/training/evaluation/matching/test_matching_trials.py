"""Matching over streams of trials."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.training.evaluation.matching.association import unit
from voxface.training.evaluation.matching.drawn_trials import drawing
from voxface.training.evaluation.matching.matching_trials import by_another_picture, by_cosine, by_sex, tally_trials


def people_of(count: int, people: int, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([np.arange(people), rng.integers(people, size=count - people)])


def test_the_right_embeddings_are_always_right_and_random_ones_half_of_the_time(rng: np.random.Generator) -> None:
    voice, face = people_of(2000, 200, rng), people_of(1500, 200, rng)
    centres = rng.normal(size=(200, 16))
    drawn = drawing(voice.tolist(), face.tolist())
    methods = {
        "oracle": by_cosine(unit(centres[voice]), unit(centres[face])),
        "random": by_cosine(unit(rng.normal(size=(2000, 16))), unit(rng.normal(size=(1500, 16)))),
        "shuffled": by_cosine(unit(centres[rng.permutation(voice)]), unit(centres[face])),
    }
    found = tally_trials(drawn, 40_000, methods, voice, 200)
    assert found["oracle"].value == 1.0
    assert found["random"].value == pytest.approx(0.5, abs=0.02)
    assert found["shuffled"].value == pytest.approx(0.5, abs=0.03)
    assert found["oracle"].counts.sum() == 40_000


def test_sexes_alone_by_hand() -> None:
    sexes, candidate_person = np.array([0, 0, 1]), np.array([0, 1, 2])
    trials = np.array([[9, 0, 1], [9, 0, 2], [9, 2, 1]])
    np.testing.assert_array_equal(by_sex(sexes, candidate_person)(trials), [0.5, 1, 1])
    np.testing.assert_allclose(by_sex(sexes, candidate_person)(np.array([[9, 0, 1, 2]])), [0.5])
    np.testing.assert_allclose(by_sex(np.zeros(3, int), candidate_person)(np.array([[9, 0, 1, 2]])), [1 / 3])


def test_within_a_sex_the_sexes_tell_nothing(rng: np.random.Generator) -> None:
    person = people_of(300, 30, rng)
    sexes = np.arange(30) % 2
    drawn = drawing(person.tolist(), person.tolist(), group=dict(enumerate(sexes.tolist())))
    found = tally_trials(drawn, 3000, {"sex": by_sex(sexes, person)}, person, 30)["sex"]
    assert found.value == 0.5


def test_another_picture_by_hand() -> None:
    # Person 0 has two pictures that are alike, person 1 one, person 2 two that are each other's opposites.
    embeddings = unit(np.array([[1, 0.1], [1, -0.1], [0, 1], [1, 0.0], [-1, 0]]))
    person = np.array([0, 0, 1, 2, 2])
    trials = np.array([[5, 0, 2], [5, 1, 4], [5, 2, 0], [5, 3, 2]])
    found = by_another_picture(embeddings, person)(trials)
    assert found[:2].tolist() == [1, 1]
    assert np.isnan(found[2]), "nobody can be compared with a picture that is not there"
    assert found[3] == 0, "the opposite of the right candidate is shown"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_turning_and_scaling_both_sides_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voice, face = people_of(60, 12, rng), people_of(50, 12, rng)
    probes, candidates = rng.normal(size=(60, 5)), rng.normal(size=(50, 5))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    drawn = drawing(voice.tolist(), face.tolist())
    methods = {
        "as given": by_cosine(unit(probes), unit(candidates)),
        "turned": by_cosine(unit(3 * probes @ turn), unit(0.1 * candidates @ turn)),
    }
    found = tally_trials(drawn, 500, methods, voice, 12, seed=seed % 1000)
    np.testing.assert_allclose(found["as given"].sums, found["turned"].sums, atol=1)
