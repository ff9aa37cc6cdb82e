"""Verification scores and intervals against hand-computed cases and independent formulas."""

import tracemalloc
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.training.evaluation.measures.intervals import bootstrap, wilson
from voxface.training.evaluation.measures.verification import auc, eer, rates, trials

scores = st.lists(st.integers(-6, 6).map(lambda k: k / 4), min_size=1, max_size=25)


# -- pairs -----------------------------------------------------------------------------------------------------------------


def test_trials_by_hand() -> None:
    rows = np.array([[1, 0], [0, 2], [3, 3], [-1, 0]], np.float32)
    same, different = trials(rows, [0, 0, 1, 1], ["a", "a", "b", "b"], [0, 1, 2, 3])
    np.testing.assert_allclose(np.sort(same), [-np.sqrt(0.5), 0])
    np.testing.assert_allclose(np.sort(different), [-1, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_one_recording_twice_and_a_voice_at_another_speed_are_no_trial() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3))
    persons, speakers, recordings = [0, 0, 0, 1, 2], ["a", "a", "a", "a", "b"], [0, 0, 1, 2, 3]
    same, different = trials(rows, persons, speakers, recordings)
    assert len(same) == 2  # of the three of person 0, the pair of recording 0 is left out; 0 and 1 share a speaker
    assert len(different) == 4


def test_trials_are_all_pairs() -> None:
    rng = np.random.default_rng(1)
    rows, person = rng.normal(size=(30, 8)), rng.integers(5, size=30)
    same, different = trials(rows, person, person, np.arange(30))

    def cosine(i: int, j: int) -> float:
        return float(rows[i] @ rows[j] / np.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j])))

    pairs = list(combinations(range(30), 2))
    np.testing.assert_allclose(np.sort(same), sorted(cosine(i, j) for i, j in pairs if person[i] == person[j]))
    np.testing.assert_allclose(np.sort(different), sorted(cosine(i, j) for i, j in pairs if person[i] != person[j]))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 12)), min_size=2, max_size=30),
    st.integers(1, 40),
    st.integers(0, 2**31),
)
@settings(max_examples=200, deadline=None)
def test_rates_over_blocks_are_those_of_all_pairs(labels: list[tuple[int, int, int]], block: int, seed: int) -> None:
    # Along axes, so that many scores are exactly alike.
    rows = np.concatenate([np.eye(3), -np.eye(3)])[np.random.default_rng(seed).integers(6, size=len(labels))]
    person, recording, _ = np.transpose(labels)
    speaker = person // 2
    same, different = trials(rows, person, speaker, recording)
    found = rates(rows, person, speaker, recording, block=block)
    if not len(same) or not len(different):
        assert found == {}
        return
    assert found == pytest.approx({"eer": eer(same, different), "auc": auc(same, different)}, abs=1e-12)


def test_rates_of_scores_that_differ_are_exact() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        person = rng.integers(6, size=40)
        rows = rng.normal(size=(40, 5)) + 2 * rng.normal(size=(6, 5))[person]
        same, different = trials(rows, person, person, np.arange(40))
        found = rates(rows, person, person, np.arange(40), block=7)
        assert found == pytest.approx({"eer": eer(same, different), "auc": auc(same, different)}, abs=1e-12)


def test_rates_take_memory_for_a_block_only() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(400), 10)
    rows = (rng.normal(size=(4000, 16)) + 1.5 * rng.normal(size=(400, 16))[person]).astype(np.float32)
    tracemalloc.start()
    found = rates(rows, person, person, np.arange(4000), block=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # eight million pairs would take 64 MB as scores alone
    assert 0 < found["eer"] < 0.3


# -- area and error rate ---------------------------------------------------------------------------------------------------


def test_auc_by_hand() -> None:
    assert auc([2, 3], [0, 1]) == 1
    assert auc([0, 1], [2, 3]) == 0
    assert auc([1, 1], [1, 1]) == 0.5
    assert auc([0.9, 0.4], [0.5, 0.4, 0.1]) == pytest.approx((3 + 1.5) / 6)


@given(scores, scores)
@settings(deadline=None)
def test_auc_is_the_share_of_pairs_in_order(same: list[float], different: list[float]) -> None:
    wins = [(s > d) + (s == d) / 2 for s in same for d in different]
    assert auc(same, different) == pytest.approx(sum(wins) / len(wins))


@given(scores, scores)
@settings(deadline=None)
def test_auc_is_the_trapezoid_under_the_roc(same: list[float], different: list[float]) -> None:
    steps = [np.inf, *sorted({*same, *different}, reverse=True)]
    hits, alarms = ([np.mean(np.array(side) >= t) for t in steps] for side in (same, different))
    area = sum((hits[k] + hits[k - 1]) / 2 * (alarms[k] - alarms[k - 1]) for k in range(1, len(steps)))
    assert auc(same, different) == pytest.approx(area)


def test_eer_by_hand() -> None:
    assert eer([2, 3], [0, 1]) == 0
    assert eer([0, 1], [2, 3]) == 1
    assert eer([1], [1]) == pytest.approx(0.5)
    # At 0.4 one of three is refused and one of three accepted.
    assert eer([0.9, 0.8, 0.3], [0.4, 0.2, 0.1]) == pytest.approx(1 / 3)
    # From 0.5 on (nothing refused, one half accepted) to above it (one half refused, nothing accepted): halfway.
    assert eer([0.5, 0.9], [0.5, 0.1]) == pytest.approx(0.25)
    # Refused 0 -> 1/4, accepted 1/2 -> 0 within one step: they are level where 2/3 of it is done.
    assert eer([0.5, 0.7, 0.8, 0.9], [0.5, 0.1]) == pytest.approx(1 / 6)


@given(scores, scores)
@settings(deadline=None)
def test_eer_lies_between_the_rates_at_every_threshold(same: list[float], different: list[float]) -> None:
    found = eer(same, different)
    for t in [*same, *different, np.inf]:
        refused, accepted = np.mean(np.array(same) < t), np.mean(np.array(different) >= t)
        assert min(refused, accepted) - 1e-12 <= found <= max(refused, accepted) + 1e-12


@given(scores, scores)
@settings(deadline=None)
def test_turning_the_scores_round_changes_nothing(same: list[float], different: list[float]) -> None:
    turned = eer([-x for x in different], [-x for x in same])
    assert eer(same, different) == pytest.approx(turned)


def test_eer_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(2)
    found = eer(rng.normal(2, 1, 200_000), rng.normal(0, 1, 200_000))
    assert found == pytest.approx(0.158655, abs=2e-3)  # Φ(-1)


@pytest.mark.parametrize("measure", [auc, eer])
def test_scores_that_cannot_be(measure: Callable[[list[float], list[float]], float]) -> None:
    with pytest.raises(ValueError, match="0 scores"):
        measure([], [1.0])
    with pytest.raises(ValueError, match="not a number"):
        measure([1.0], [np.nan])


# -- intervals -------------------------------------------------------------------------------------------------------------


def test_wilson_solves_its_equation() -> None:
    for right, n in ((0, 10), (1, 7), (50, 52), (30, 60), (52, 52)):
        for bound in wilson(right, n):
            # The interval's ends are the shares whose test statistic is just z.
            assert (right / n - bound) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / n, abs=1e-9)


def test_wilson_by_hand() -> None:
    assert wilson(10, 20) == pytest.approx((0.29930, 0.70070), abs=1e-5)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    for bad in ((1, 0), (3, 2), (-1, 4)):
        with pytest.raises(ValueError, match="out of"):
            wilson(*bad)


def test_bootstrap_of_a_mean_has_the_width_of_theory() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    low, high = bootstrap(
        lambda rows: float(values[rows].mean()), np.arange(400), rng=np.random.default_rng(0), rounds=2000
    )
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)
    assert low < values.mean() < high


def test_bootstrap_draws_whole_speakers() -> None:
    rng = np.random.default_rng(4)
    speaker = np.repeat(np.arange(40), 10)
    values = rng.normal(size=40)[speaker]  # ten recordings of a speaker say the same thing
    once = values[::10]

    def mean(rows: np.ndarray) -> float:
        assert (np.bincount(speaker[rows]) % 10 == 0).all()
        return float(values[rows].mean())

    low, high = bootstrap(mean, speaker, rng=np.random.default_rng(0))
    assert high - low == pytest.approx(2 * 1.96 * once.std() / np.sqrt(40), rel=0.15)


def test_bootstrap_is_seeded_takes_several_samples_and_leaves_out_what_is_no_number() -> None:
    one, other = np.array([1.0, 2.0, 3.0]), np.array([0.0, 5.0])

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        return float(one[a].mean() - other[b].mean()) if len(set(b.tolist())) > 1 else float("nan")

    first = bootstrap(difference, ["x", "y", "z"], ["u", "v"], rng=np.random.default_rng(5), rounds=200)
    assert first == bootstrap(difference, ["x", "y", "z"], ["u", "v"], rng=np.random.default_rng(5), rounds=200)
    assert -1.5 <= first[0] < first[1] <= 0.5
    with pytest.raises(ValueError, match="never a number"):
        bootstrap(lambda _: float("nan"), [1, 2], rng=np.random.default_rng(0), rounds=3)
    with pytest.raises(ValueError, match="no rows"):
        bootstrap(lambda _: 0.0, [], rng=np.random.default_rng(0))
