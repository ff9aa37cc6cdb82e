"""EER and AUC of weighted trials beside scikit-learn and beside repeated ones; chance beside shuffled galleries."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from voxface.training.evaluation.hearing.speaker_trials import auc_by_speaker, pair_rates
from voxface.training.evaluation.matching.association import retrieve, unit
from voxface.training.evaluation.matching.chance import chance_precision, chance_recall, mean_chance
from voxface.training.evaluation.measures.verification import auc, eer, rates, trials
from voxface.training.evaluation.measures.verification_intervals import SortedTrials, rates_by_person


def some_trials(seed: int, count: int = 80, digits: int = 1) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    same[:2] = True, False
    return np.round(rng.normal(size=count) + same, digits), same


def test_by_hand() -> None:
    # Same: 3, 1. Different: 2, 0. Of the four pairs of them three are in order.
    found = SortedTrials.of(np.array([3.0, 1, 2, 0]), np.array([True, True, False, False]))
    assert found.rates() == (0.5, 0.75)
    # The lower of the same ones counts three times: of eight pairs five are in order.
    assert found.rates(np.array([1.0, 3, 1, 1]))[1] == 5 / 8
    assert np.isnan(found.rates(np.array([1.0, 1, 0, 0]))).all()
    with pytest.raises(ValueError, match="not a number"):
        SortedTrials.of(np.array([1.0, np.nan]), np.array([True, False]))


@given(st.integers(0, 2**31), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_beside_scikit_learn_and_beside_scores_one_by_one(seed: int, digits: int) -> None:
    scores, same = some_trials(seed, digits=digits)
    sorted_trials = SortedTrials.of(scores, same)
    found = sorted_trials.rates()
    assert found[1] == pytest.approx(roc_auc_score(same, scores))
    assert found == pytest.approx((eer(scores[same], scores[~same]), auc(scores[same], scores[~same])))
    weight = np.random.default_rng(seed + 1).integers(0, 3, len(scores))
    weight[:2] = 1
    many, label = np.repeat(scores, weight), np.repeat(same, weight)
    weighted = sorted_trials.rates(weight.astype(np.float64))
    assert weighted[1] == pytest.approx(roc_auc_score(same, scores, sample_weight=weight))
    assert weighted == pytest.approx((eer(many[label], many[~label]), auc(many[label], many[~label])))
    accepted, right = sorted_trials.roc(points=10_000)
    theirs = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(accepted, theirs[0], atol=1e-12)
    np.testing.assert_allclose(right, theirs[1], atol=1e-12)


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_scale_shift_and_order_of_scores_do_not_count(seed: int, scale: float, shift: float) -> None:
    scores, same = some_trials(seed, digits=6)
    order = np.random.default_rng(seed).permutation(len(scores))
    found = SortedTrials.of(scores, same).rates()
    assert SortedTrials.of(scale * scores + shift, same).rates() == pytest.approx(found)
    assert SortedTrials.of(scores[order], same[order]).rates() == found
    assert SortedTrials.of(-scores, ~same).rates()[1] == pytest.approx(found[1])


def test_a_person_drawn_twice_counts_as_copies_of_the_recordings() -> None:
    """Weights stand for copied recordings, of which none is compared with its own copy."""
    rng = np.random.default_rng(0)
    rows, speaker = rng.normal(size=(12, 4)), np.repeat(np.arange(4), 3)
    one, other = np.triu_indices(12, 1)
    cosine = (unit(rows).astype(np.float64) @ unit(rows).astype(np.float64).T)[one, other]
    drawn = np.array([2, 0, 1, 1])
    weight = (drawn[speaker[one]] * drawn[speaker[other]]).astype(np.float64)
    found = SortedTrials.of(cosine, speaker[one] == speaker[other]).rates(weight)
    copies = np.repeat(np.arange(12), drawn[speaker])
    same, different = trials(unit(rows)[copies], speaker[copies], speaker[copies], copies)
    assert found == pytest.approx((eer(same, different), auc(same, different)), abs=1e-6)


def test_intervals_are_over_people() -> None:
    """Ten trials of one person that say the same are one person's."""
    rng = np.random.default_rng(1)
    score, same = rng.normal(size=60), np.arange(60) % 2 == 0
    few = rates_by_person(SortedTrials.of(score, same), np.arange(60))
    copied = rates_by_person(SortedTrials.of(np.repeat(score, 10), np.repeat(same, 10)), np.repeat(np.arange(60), 10))
    assert copied.auc.value == pytest.approx(few.auc.value)
    assert copied.auc.low == pytest.approx(few.auc.low)
    assert copied.auc.high == pytest.approx(few.auc.high)
    assert (copied.auc.trials, copied.auc.people) == (600, 60)
    with pytest.raises(ValueError, match="the same and of different people"):
        rates_by_person(SortedTrials.of(score, np.ones(60, bool)), np.arange(60))


def test_pairs_of_pieces_as_verification_counts_them() -> None:
    rng = np.random.default_rng(3)
    speakers = [f"s{k // 3}" for k in range(45)]
    rows = rng.normal(size=(15, 8)).repeat(3, 0) + rng.normal(size=(45, 8))
    found = pair_rates(rows, speakers)
    wanted = rates(rows, speakers, speakers, np.arange(45))
    assert (found.eer.value, found.auc.value) == pytest.approx((wanted["eer"], wanted["auc"]))
    assert found.auc.low is not None
    assert found.auc.low < found.auc.value
    shuffled = pair_rates(rng.normal(size=(45, 8)), speakers)
    assert shuffled.auc.low is not None
    assert shuffled.auc.high is not None
    assert shuffled.auc.low < 0.5 < shuffled.auc.high
    of_speakers = auc_by_speaker(rows, speakers)
    assert set(of_speakers) == set(speakers)
    assert np.mean(list(of_speakers.values())) == pytest.approx(found.auc.value, abs=0.05)
    with pytest.raises(ValueError, match="the same and of different"):
        pair_rates(rows, [str(k) for k in range(45)])


def test_more_pieces_than_are_held_get_the_same_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxface.training.evaluation.hearing import speaker_trials

    rows = np.random.default_rng(4).normal(size=(30, 6))
    speakers = [str(k // 2) for k in range(30)]
    held = pair_rates(rows, speakers)
    monkeypatch.setattr(speaker_trials, "_MOST_PIECES", 10)
    found = pair_rates(rows, speakers)
    assert (found.eer.value, found.auc.value) == pytest.approx((held.eer.value, held.auc.value))
    assert found.auc.low is None


@given(st.integers(0, 2**31), st.integers(2, 25))
@settings(max_examples=40, deadline=None)
def test_retrieval_beside_scikit_learn(seed: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = (unit(rng.normal(size=(count, 6))) for count in (3, items))
    owner = rng.integers(2, size=items)
    asked = rng.choice(owner, 3)
    found = retrieve(query, gallery, asked, owner)
    for k in range(3):
        assert found.precision[k] == pytest.approx(average_precision_score(owner == asked[k], query[k] @ gallery.T))


@pytest.mark.parametrize(("right", "gallery"), [(1, 7), (3, 12), (5, 5), (1, 1)])
def test_chance_is_that_of_shuffled_galleries(right: int, gallery: int) -> None:
    order = np.random.default_rng(0).permuted(np.tile(np.arange(gallery) < right, (20_000, 1)), axis=1)
    precision = (order * np.cumsum(order, 1) / np.arange(1, gallery + 1)).sum(1) / right
    assert precision[0] == pytest.approx(average_precision_score(order[0], -np.arange(gallery)))
    assert chance_precision(right, gallery) == pytest.approx(precision.mean(), abs=0.01)
    assert chance_recall(right, gallery, 4) == pytest.approx(order[:, :4].any(1).mean(), abs=0.015)


def test_chance_by_hand() -> None:
    assert chance_precision(1, 2) == 0.75  # first: 1, second: 1/2
    assert chance_recall(1, 10, 3) == pytest.approx(0.3)
    assert chance_recall(2, 4, 2) == pytest.approx(5 / 6)
    assert mean_chance([1, 1], [2, 2]) == 0.75
    assert mean_chance([1, 1], [10, 5], at=1) == pytest.approx(0.15)
    for wrong in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="right items in a gallery"):
            chance_precision(*wrong)


def test_probes(rng: np.random.Generator) -> None:
    from sklearn.linear_model import Ridge

    from voxface.training.evaluation.hearing.linear_probe import ridge_probe, side_probe

    rows: Any = rng.normal(size=(200, 5))
    wanted = rows @ np.arange(5.0) + 3
    told = ridge_probe(rows, wanted)
    theirs = Ridge(alpha=1e-2 * np.trace(np.cov(rows.T, bias=True)) / 5 * 200).fit(rows, wanted)
    np.testing.assert_allclose(told(rows[:9]), theirs.predict(rows[:9]), atol=1e-6)
    np.testing.assert_allclose(told(rows + 0), wanted, atol=0.3)
    # One class is rare: the threshold lies between the classes all the same.
    side = rng.random(200) < 0.1
    side[0] = True
    seen = side_probe(rows + 4 * side[:, None], side)
    assert (seen(rows + 4 * side[:, None]) == side).mean() > 0.97
    with pytest.raises(ValueError, match="both classes"):
        side_probe(rows, np.zeros(200, bool))
    with pytest.raises(ValueError, match="finite"):
        ridge_probe(rows, np.full(200, np.nan))
