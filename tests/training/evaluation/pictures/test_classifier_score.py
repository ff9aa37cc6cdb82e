"""Classifier score by hand and against SciPy's entropy."""

import numpy as np
import pytest

from voxface.training.evaluation.pictures.classifier_score import classifier_score, softmax

stats = pytest.importorskip("scipy.stats", reason="scipy comes with voxface[dev]")


def test_by_hand() -> None:
    # Each picture is clearly another of four people: the score is their number; all alike: 1.
    assert classifier_score(np.eye(4), splits=1) == pytest.approx((4, 0))
    assert classifier_score(np.full((4, 4), 0.25), splits=1) == pytest.approx((1, 0))
    # Two pictures, surely a or half a half b: exp of the mean of KL((1, 0) ‖ (¾, ¼)) and KL((½, ½) ‖ (¾, ¼)).
    found, _ = classifier_score(np.array([[1, 0], [0.5, 0.5]]), splits=1)
    expected = np.exp((np.log(4 / 3) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2)) / 2)
    assert found == pytest.approx(expected)


def test_against_scipy_and_over_parts(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(40, 6)) * 2
    probabilities = softmax(logits)
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    whole, sd = classifier_score(probabilities, splits=1)
    divergences = [stats.entropy(row, probabilities.mean(0)) for row in probabilities]
    assert whole == pytest.approx(np.exp(np.mean(divergences)))
    assert sd == 0
    assert classifier_score(probabilities)[1] > 0
    assert softmax(np.array([[1000.0, 0]]))[0] == pytest.approx([1, 0])


def test_what_is_no_set_of_probabilities() -> None:
    with pytest.raises(ValueError, match="3 pictures cannot be cut into 5 parts"):
        classifier_score(np.eye(3))
    with pytest.raises(ValueError, match="no probabilities"):
        classifier_score(np.ones((5, 2)))
