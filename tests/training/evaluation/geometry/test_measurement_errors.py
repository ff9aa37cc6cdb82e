"""Measurements: errors by hand, within the sexes, and what chance gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.training.evaluation.geometry.measurement_errors import Measurements, mean_error, mean_over

scipy_stats = pytest.importorskip("scipy.stats", reason="scipy comes with voxface[dev]")


def made(people: int, follow: float, seed: int = 0) -> Measurements:
    """Men are 10 mm longer; `follow` of what is left is predicted."""
    rng = np.random.default_rng(seed)
    sexes = np.arange(people) % 2
    own = rng.normal(0, 5, people)
    return Measurements(120 + 10 * sexes + follow * own, 120 + 10 * sexes + own, sexes)


def test_errors_by_hand() -> None:
    one = Measurements(np.array([100.0, 110, 121]), np.array([103.0, 110, 119]), np.array([0, 0, 1]))
    assert one.errors == pytest.approx([3, 0, 2])
    assert one.of_sex(0).errors == pytest.approx([3, 0])
    # Women are predicted 105 and are 106.5 on average: deviations -5 and 5, truly -3.5 and 3.5. The one man has none.
    assert one.within_sex.predicted == pytest.approx([-5, 5, 0])
    assert one.within_sex.errors == pytest.approx([1.5, 1.5, 0])
    assert mean_over({"a": one, "b": one}) == pytest.approx([3, 0, 2])


def test_one_face_a_sex_tells_nothing_within_it() -> None:
    one = made(40, 0)
    assert one.correlation() is None
    assert one.p_value(rounds=200) == 1


def test_correlation_is_that_within_the_sexes() -> None:
    one = made(60, 0.5)
    noisy = Measurements(one.predicted + np.random.default_rng(1).normal(0, 3, 60), one.true, one.sexes)
    found = noisy.correlation()
    assert found is not None
    apart = noisy.within_sex
    assert found.value == pytest.approx(scipy_stats.pearsonr(apart.predicted, apart.true).statistic)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert noisy.p_value(rounds=500) < 0.01
    perfect = made(60, 0.5).correlation()
    assert perfect is not None
    assert perfect.value == pytest.approx(1)
    assert made(3, 0.5).correlation() is None


def test_shuffled_truths_are_chance() -> None:
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sexes = np.arange(30) % 2
        values.append(
            Measurements(rng.normal(10 * sexes, 1), rng.normal(10 * sexes, 1), sexes).p_value(seed, rounds=200)
        )
    assert np.mean(np.array(values) < 0.1) < 0.25
    assert 0.35 < np.mean(values) < 0.65


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-20, 20), st.floats(-20, 20))
def test_within_a_sex_its_level_does_not_count(seed: int, women: float, men: float) -> None:
    one = made(12, 0.7, seed)
    moved = Measurements(one.predicted + np.where(one.sexes == 0, women, men), one.true, one.sexes)
    np.testing.assert_allclose(moved.within_sex.errors, one.within_sex.errors, atol=1e-9)


def test_mean_errors_and_their_interval() -> None:
    errors = np.random.default_rng(3).exponential(2, 400)
    found = mean_error(errors)
    assert found.value == pytest.approx(errors.mean())
    assert found.people == 400
    assert found.low is not None
    assert found.high is not None
    # As wide as the normal theory says.
    assert found.high - found.low == pytest.approx(2 * 1.96 * errors.std() / 20, rel=0.15)
    assert mean_error(np.full(5, 2.0)).low == 2
    with pytest.raises(ValueError, match="no errors"):
        mean_error(np.array([]))
