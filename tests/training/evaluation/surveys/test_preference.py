"""The test of preference against SciPy's binomial distribution and the paper's own numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from voxface.training.evaluation.surveys.preference import answers_needed, power, preference, threshold


def test_the_threshold_of_the_paper() -> None:
    assert threshold(1540) == 831  # Wu et al. 2022, 154 subjects with ten answers each


@given(answers=st.integers(1, 3000), share=st.floats(0, 1), significance=st.sampled_from([0.05, 0.01, 0.001]))
def test_as_scipy(answers: int, share: float, significance: float) -> None:
    ours = int(share * answers)
    found = preference(ours, answers, significance)
    assert found.threshold == stats.binom.ppf(1 - significance, answers, 0.5)
    assert found.p_value == pytest.approx(stats.binom.sf(ours - 1, answers, 0.5), rel=1e-9)
    assert found.preferred == (ours >= found.threshold)


def test_by_hand() -> None:
    assert preference(4, 4).p_value == pytest.approx(1 / 16)
    assert preference(0, 4).p_value == pytest.approx(1)
    # P(X <= 3) = 15/16 is below 1 - 0.05, so the quantile is 4.
    assert threshold(4, 0.05) == 4
    assert threshold(4, 0.07) == 3


def test_power() -> None:
    assert power(1540, 0.56) == pytest.approx(stats.binom.sf(830, 1540, 0.56), rel=1e-9)
    needed = answers_needed(0.56)
    assert power(needed, 0.56) >= 0.8
    assert power(int(needed * 0.97), 0.56) < 0.8
    assert answers_needed(0.9) < answers_needed(0.6) < answers_needed(0.55)


@pytest.mark.parametrize("preferred", [0.5, 0.3, 1.0])
def test_no_number_of_answers_will_do(preferred: float) -> None:
    with pytest.raises(ValueError, match="preference"):
        answers_needed(preferred)


def test_too_near_to_a_half() -> None:
    with pytest.raises(ValueError, match="too near"):
        answers_needed(0.5001)


@pytest.mark.parametrize(("ours", "answers"), [(5, 4), (-1, 4), (0, 0)])
def test_impossible_counts(ours: int, answers: int) -> None:
    with pytest.raises(ValueError, match="answers"):
        preference(ours, answers)


@pytest.mark.parametrize("significance", [0.0, 1.0, -1.0])
def test_impossible_significance(significance: float) -> None:
    with pytest.raises(ValueError, match="significance"):
        threshold(10, significance)
