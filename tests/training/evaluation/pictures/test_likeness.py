"""Likeness in a gallery: by hand, at chance, and at its best."""

import numpy as np
import pytest

from voxface.training.evaluation.pictures.likeness import chance, gallery_of, likeness


def test_by_hand() -> None:
    # Four people on the corners of a square; its middle, the origin, is what all have in common.
    gallery = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    people, sexes = np.arange(4), np.array([0, 0, 1, 1])
    # A face of person 1 that looks like person 0, and person 1 next; one of person 2 that looks like person 0 most.
    found = likeness(np.array([[3.0, 1], [2, -0.5]]), np.array([1, 2]), gallery, people, sexes)
    assert found.first.tolist() == [2, 4]
    assert found.rank == pytest.approx([2 / 3, 0])
    assert found.rank_within_sex == pytest.approx([0, 0])
    assert found.cosine == pytest.approx([1 / np.sqrt(10), -2 / np.sqrt(4.25)], rel=1e-6)
    row = found.row()
    assert row["R@1"].value == 0
    assert row["R@5"].value == 1
    assert row["rank"].value == pytest.approx(1 / 3)


def test_the_persons_own_pictures_are_found_and_strangers_are_not() -> None:
    rng = np.random.default_rng(0)
    people, sexes = np.arange(40), np.arange(40) % 2
    own = rng.normal(size=(40, 16)) + 5
    found = likeness(own[[3, 7]] + 0.01, np.array([3, 7]), own, people, sexes)
    assert found.first.tolist() == [1, 1]
    assert found.rank.tolist() == [1, 1]
    assert found.rank_within_sex.tolist() == [1, 1]
    queries = rng.normal(size=(2000, 16)) + 5
    strangers = likeness(queries, rng.integers(0, 40, 2000), own, people, sexes).row()
    expected = chance(40, np.array([20, 20]))
    for name, number in expected.items():
        assert strangers[name].value == pytest.approx(number.value, abs=0.03)


def test_faces_that_are_all_alike_are_at_chance() -> None:
    rng = np.random.default_rng(1)
    gallery, people, sexes = rng.normal(size=(30, 8)), np.arange(30), np.arange(30) % 2
    one = np.repeat(rng.normal(size=(1, 8)), 30, axis=0)
    found = likeness(one, people, gallery, people, sexes)
    assert found.rank.mean() == pytest.approx(0.5)
    assert found.rank_within_sex.mean() == pytest.approx(0.5)
    assert (found.first == 1).sum() == 1
    # Not even told apart: the middle of the gallery itself. Ties count half and nobody is found.
    middle = likeness(np.repeat(gallery.mean(0)[None], 30, 0), people, gallery, people, sexes)
    assert middle.rank.tolist() == [0.5] * 30
    assert middle.row()["R@1"].value == 0


def test_a_gallery_has_one_entry_a_person_and_lengths_do_not_count() -> None:
    features = np.array([[2.0, 0], [0, 7], [0, 3], [5, 0]])
    gallery, people = gallery_of(features, np.array([4, 4, 9, 9]))
    assert people.tolist() == [4, 9]
    assert gallery == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))


def test_the_only_one_of_a_sex_has_no_rank_within_it() -> None:
    gallery, people = np.eye(3), np.arange(3)
    found = likeness(gallery, people, gallery, people, np.array([0, 0, 1]))
    assert np.isnan(found.rank_within_sex[2])
    assert found.row()["rank within sex"].people == 2
