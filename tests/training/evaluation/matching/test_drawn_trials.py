"""Drawn trials: right ones and wrong ones, alike where asked, each person as often as another."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from voxface.training.evaluation.matching.association import right_choices, unit
from voxface.training.evaluation.matching.drawn_trials import drawing


@given(seed=st.integers(0, 10_000), people=st.integers(2, 12), wrong=st.integers(1, 4), grouped=st.booleans())
def test_every_trial_is_one(seed: int, people: int, wrong: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    names = np.array([f"p{k}" for k in range(people)])
    probe, candidate = rng.choice(names, 20), rng.choice(names, 25)
    group = {name: int(rng.integers(2)) for name in names} if grouped else None
    of = group or dict.fromkeys(names.tolist(), 0)
    with_candidate = set(candidate.tolist())
    able = {p for p in set(probe.tolist()) & with_candidate if sum(of[p] == of[q] for q in with_candidate) > wrong}
    if not able:
        with pytest.raises(ValueError, match="no trial"):
            drawing(probe, candidate, wrong=wrong, group=group)
        return
    made = drawing(probe, candidate, wrong=wrong, group=group)
    assert len(made.person) == len(able)
    assert made.left_out == len(set(probe.tolist()) & with_candidate) - len(able)
    trials = np.concatenate(list(made.trials(300, seed=seed)))
    assert trials.shape == (300, 2 + wrong)
    assert set(probe[trials[:, 0]].tolist()) <= able
    assert (probe[trials[:, 0]] == candidate[trials[:, 1]]).all()
    for trial in trials:
        people_of = candidate[trial[1:]].tolist()
        assert len(set(people_of)) == 1 + wrong
        assert {of[p] for p in people_of} == {of[people_of[0]]}


def test_everybody_as_often() -> None:
    probe = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 60])
    candidate = np.repeat(np.arange(6), [60, 5, 4, 3, 2, 1])
    trials = np.concatenate(list(drawing(probe, candidate, wrong=2).trials(60_000)))
    assert stats.chisquare(np.bincount(probe[trials[:, 0]])).pvalue > 1e-4
    first = trials[probe[trials[:, 0]] == 0]
    assert stats.chisquare(np.bincount(candidate[first[:, 2]])[1:]).pvalue > 1e-4
    assert stats.chisquare(np.bincount(candidate[first[:, 3]])[1:]).pvalue > 1e-4


def test_people_of_no_group_are_left_out() -> None:
    made = drawing([0, 1, 2, 3], [0, 1, 2, 3], group={0: "f", 1: "f", 2: None})
    assert set(np.concatenate(list(made.trials(100))).ravel().tolist()) == {0, 1}


def test_the_block_does_not_count() -> None:
    made = drawing(range(9), range(9))
    whole = np.concatenate(list(made.trials(200_000, seed=4)))
    assert np.array_equal(whole, np.concatenate(list(made.trials(200_000, seed=4, block=7_000))))
    assert not np.array_equal(whole, np.concatenate(list(made.trials(200_000, seed=5))))


def test_no_wrong_candidate() -> None:
    with pytest.raises(ValueError, match="one at least"):
        drawing([0, 1], [0, 1], wrong=0)


def test_two_million_trials_take_memory_for_a_block() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(200), 20)
    voices, faces = (unit(rng.normal(size=(4000, 16)).astype("f")) for _ in range(2))
    made = drawing(person, person)
    tracemalloc.start()
    right = total = 0.0
    for trials in made.trials(2_350_000):
        right += float(right_choices(voices, faces, trials).sum())
        total += len(trials)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 2_350_000
    assert right / total == pytest.approx(0.5, abs=0.01)
    assert peak < 64 << 20
