"""Closed-set identification."""

import numpy as np
import pytest

from voxface.training.evaluation.matching.closed_set import Named, guessed


def test_top_one_and_five_by_hand() -> None:
    guesses = np.array([[3, 1, 2, 0, 4], [1, 3, 0, 2, 4], [0, 1, 2, 4, 5]])
    found = Named.of(guesses, np.array([3, 3, 3]), 6)
    assert (found.top1.value, found.top5.value) == pytest.approx((1 / 3, 2 / 3))


def test_it_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, person = rng.normal(size=(400, 20)), rng.integers(20, size=400)
    found = Named.of(np.argsort(-scores, axis=1)[:, :5], person, 20)
    for tally, k in ((found.top1, 1), (found.top5, 5)):
        assert tally.value == pytest.approx(metrics.top_k_accuracy_score(person, scores, k=k, labels=np.arange(20)))


def test_guessing_is_what_guessing_gives(rng: np.random.Generator) -> None:
    person = rng.integers(20, size=40_000)
    expected = guessed(person, [np.arange(20)] * len(person), 20)
    tried = Named.of(np.argsort(rng.random((40_000, 20)), axis=1)[:, :5], person, 20)
    assert (expected.top1.value, expected.top5.value) == pytest.approx((0.05, 0.25))
    assert tried.top1.value == pytest.approx(0.05, abs=0.01)
    assert tried.top5.value == pytest.approx(0.25, abs=0.01)


def test_few_candidates_are_all_among_five() -> None:
    found = guessed(np.array([0, 1]), [np.array([0, 1, 2])] * 2, 3)
    assert found.top5.value == 1.0
