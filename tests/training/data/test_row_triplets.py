"""Rows of voices as anchors, positives and negatives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxface.training.data.row_triplets import RowTriplets


@st.composite
def tables(draw: st.DrawFn) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Person and recording of rows in any order, of people who have one or more; and the speaker of every person."""
    rows = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=24))
    speaker = draw(st.lists(st.integers(0, 3), min_size=6, max_size=6))
    person, recording = np.array(rows, np.int32).T
    return person, recording, np.array(speaker)


@settings(max_examples=200, deadline=None)
@given(tables(), st.integers(0, 2**31))
def test_positives_are_the_same_person_and_negatives_another_speaker(table: tuple[Any, Any, Any], seed: int) -> None:
    person, recording, speaker = table
    if len(set(speaker[person])) < 2:
        with pytest.raises(ValueError, match="two speakers"):
            RowTriplets(person, recording, speaker)
        return
    triplets = RowTriplets(person, recording, speaker)
    rng = np.random.default_rng(seed)
    assert sorted(triplets.people) == sorted(set(person))
    assert len(triplets) == len(person)

    places = np.arange(len(triplets.people)).repeat(4)
    anchors = triplets.of_people(places, rng)
    rows = triplets.rows(anchors)
    np.testing.assert_array_equal(person[rows], triplets.people[places])
    np.testing.assert_array_equal(triplets.person(anchors), person[rows])

    positives = triplets.rows(triplets.positives(anchors, rng))
    np.testing.assert_array_equal(person[positives], person[rows])
    for row, positive in zip(rows, positives, strict=True):
        own = np.flatnonzero(person == person[row])
        if len(set(recording[own])) > 1:
            assert recording[positive] != recording[row]
        elif len(own) > 1:
            assert positive != row
        else:
            assert positive == row

    negatives = triplets.rows(triplets.negatives(anchors, rng))
    assert (speaker[person[negatives]] != speaker[person[rows]]).all()


def test_what_may_be_drawn_is_drawn_as_often() -> None:
    person = np.array([0, 1, 2, 2, 0, 0, 0, 1], np.int32)
    recording = np.array([5, 1, 2, 2, 6, 6, 7, 1], np.int32)
    triplets = RowTriplets(person, recording, np.array([0, 0, 1, 2]))
    rng = np.random.default_rng(0)
    anchor = next(number for number in range(8) if triplets.rows(np.array([number]))[0] == 4)
    many = np.full(6000, anchor)

    def shares(drawn: NDArray[np.int64]) -> list[float]:
        return (np.bincount(triplets.rows(drawn), minlength=8) / len(many)).tolist()

    assert shares(triplets.positives(many, rng)) == pytest.approx([1 / 2, 0, 0, 0, 0, 0, 1 / 2, 0], abs=0.03)
    assert shares(triplets.negatives(many, rng)) == pytest.approx([0, 0, 1 / 2, 1 / 2, 0, 0, 0, 0], abs=0.03)
    place = triplets.people.tolist().index(0)
    of_people = triplets.of_people(np.full(6000, place), rng)
    assert shares(of_people) == pytest.approx([1 / 4, 0, 0, 0, 1 / 4, 1 / 4, 1 / 4, 0], abs=0.03)
    stranger = next(number for number in range(8) if triplets.rows(np.array([number]))[0] == 2)
    people = np.bincount(triplets.person(triplets.negatives(np.full(6000, stranger), rng)), minlength=3) / 6000
    assert people.tolist() == pytest.approx([1 / 2, 1 / 2, 0], abs=0.03), "people are as likely, not their rows"
