"""Differences and permutations: by hand, against SciPy, and at chance where there is nothing to find."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from voxface.training.evaluation.measures.significance import paired_difference, shuffled_p_value


def test_a_difference_as_scipy() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=40)
    b = a - 0.15 + rng.normal(scale=0.5, size=40)
    found = paired_difference(a, b)
    assert found.value == pytest.approx(float((a - b).mean()))
    by_scipy = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=2)
    assert found.p_value == pytest.approx(by_scipy.pvalue, abs=0.015)
    interval = stats.bootstrap((a - b,), np.mean, method="percentile", rng=3).confidence_interval
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.02)


@given(st.integers(0, 1000))
def test_the_order_of_the_methods_turns_the_sign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 9))
    here, there = paired_difference(a, b, rounds=200), paired_difference(b, a, rounds=200)
    assert here.value == pytest.approx(-there.value)
    assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
    assert here.p_value == there.p_value


def test_identical_methods_do_not_differ() -> None:
    a = np.arange(5.0)
    found = paired_difference(a, a)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_permutation_by_hand() -> None:
    predicted, measured = np.array([0.0, 1, 2, 3]), np.array([0.1, 1.2, 1.9, 3.3])
    error = np.abs(predicted - measured).mean()
    every = [np.abs(predicted - np.array(p)).mean() for p in permutations(measured)]
    exact = np.mean(np.array(every) <= error + 1e-12)
    assert shuffled_p_value(predicted, measured, rounds=20_000) == pytest.approx(exact, abs=0.005)


def test_knowing_the_group_gains_nothing_within_it() -> None:
    rng = np.random.default_rng(0)
    sex = np.repeat([0, 1], 50)
    measured = 10.0 * sex + rng.normal(size=100)
    predicted = 10.0 * sex + rng.normal(scale=0.1, size=100)
    assert shuffled_p_value(predicted, measured, rounds=999) == 0.001
    assert shuffled_p_value(predicted, measured, within=sex, rounds=999) > 0.02


def test_chance_has_every_p_value_alike() -> None:
    rng = np.random.default_rng(5)
    found = [shuffled_p_value(*rng.normal(size=(2, 30)), rounds=199) for _ in range(300)]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("test", [paired_difference, shuffled_p_value])
def test_what_cannot_be_compared(test) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="shapes"):
        test(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="two people"):
        test(np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="finite"):
        test(np.array([0, np.nan]), np.zeros(2))
