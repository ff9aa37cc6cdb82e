"""Calibration by hand and beside scikit-learn; rank correlation beside SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.calibration import calibration_curve

from voxface.training.evaluation.hearing.calibration_curves import (
    expected_calibration_error,
    rank_correlation,
    reliability,
)


def test_by_hand() -> None:
    probability, happened = np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True])
    low, high = reliability(probability, happened)
    assert [low.predicted, high.predicted] == pytest.approx([0.1, 0.9])
    assert (low.observed, low.count, high.observed, high.count) == (0.5, 2, 1.0, 2)
    assert expected_calibration_error(probability, happened) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    for wrong in (np.array([1.2]), np.array([])):
        with pytest.raises(ValueError, match=r"0 to 1|one probability"):
            reliability(wrong, np.ones(len(wrong), bool))


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_beside_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(60)
    happened = rng.random(60) < probability
    rows = reliability(probability, happened)
    observed, predicted = calibration_curve(happened, probability, n_bins=5)
    np.testing.assert_allclose([row.observed for row in rows], observed)
    np.testing.assert_allclose([row.predicted for row in rows], predicted)
    assert sum(row.count for row in rows) == 60


def test_what_is_calibrated_has_a_small_error() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(50_000)
    happened = rng.random(50_000) < probability
    assert expected_calibration_error(probability, happened) < 0.01
    assert expected_calibration_error(np.clip(1.5 * probability - 0.25, 0, 1), happened) > 0.05


@given(st.integers(0, 2**31), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_ranks_beside_scipy(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    one = np.round(rng.normal(size=30), digits)
    other = np.round(one + rng.normal(size=30), digits)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(np.exp(one), other) == pytest.approx(rank_correlation(one, other))


def test_what_does_not_vary_ranks_nothing() -> None:
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0
    assert rank_correlation(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1)
    with pytest.raises(ValueError, match="not two numbers"):
        rank_correlation(np.ones(1), np.ones(1))
