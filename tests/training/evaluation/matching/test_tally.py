"""Shares of trials by person."""

import numpy as np
import pytest

from voxface.training.evaluation.matching.association import share_by_person
from voxface.training.evaluation.matching.tally import Tally


def test_a_tally_by_hand() -> None:
    tally = Tally(4)
    tally.add(np.array([1, 0, 1]), np.array([0, 0, 2]))
    tally.add(np.array([0.5, np.nan]), np.array([2, 3]))
    assert tally.value == pytest.approx(2.5 / 4)
    assert tally.by_person() == {0: 0.5, 2: 0.75}, "NaN is no trial"
    measured = tally.measured()
    assert measured is not None
    assert (measured.trials, measured.people) == (4, 2)


def test_no_trials_have_no_share() -> None:
    assert Tally(3).value is None
    assert Tally(3).measured() is None


def test_one_person_has_no_interval() -> None:
    measured = Tally.of(np.array([True, False]), np.array([1, 1]), 3).measured()
    assert measured is not None
    assert (measured.value, measured.low, measured.high, measured.people) == (0.5, None, None, 1)


def test_it_says_what_all_trials_at_once_say(rng: np.random.Generator) -> None:
    right, person = rng.random(500) < 0.7, rng.integers(9, size=500)
    tally = Tally(9)
    for begin in range(0, 500, 37):
        tally.add(right[begin : begin + 37], person[begin : begin + 37])
    measured, share = tally.measured(seed=3), share_by_person(right.astype(np.float64), person, seed=3)
    assert measured is not None
    assert (measured.value, measured.low, measured.high) == pytest.approx((share.value, share.low, share.high))
