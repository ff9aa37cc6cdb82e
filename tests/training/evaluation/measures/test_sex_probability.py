"""Slopes of probabilities: against scipy's minimum, and against voices whose sex is as sure as they say."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.inference.attributes import read_attributes
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.evaluation.measures.sex_probability import log_loss, sex_slope, sex_slope_report
from voxface.training.models.frozen import Frozen

pytestmark = pytest.mark.train


@given(st.integers(0, 10_000), st.floats(0.2, 5), st.integers(4, 60))
def test_the_slope_is_the_minimum_of_platts_loss(seed: int, true: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = rng.normal(0, 2, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-true * evidence))
    labels[:2] = (False, True)
    weights = rng.uniform(0.2, 3, count)
    ones, zeros = weights[labels].sum(), weights[~labels].sum()
    target = np.where(labels, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def loss(log_s: float) -> float:
        x = math.exp(log_s) * evidence
        return float((weights * (np.logaddexp(0, x) - target * x)).sum())

    best = minimize_scalar(loss, bounds=(math.log(1e-3), math.log(1e3)), method="bounded", options={"xatol": 1e-9})
    assert loss(math.log(sex_slope(evidence, labels, weights))) <= best.fun + 1e-6


def test_who_says_what_is_true_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.normal(0, 2, 40_000)
    labels = rng.random(len(evidence)) < 1 / (1 + np.exp(-evidence))
    assert sex_slope(evidence, labels) == pytest.approx(1, abs=0.03)
    assert sex_slope(4 * evidence, labels) == pytest.approx(0.25, abs=0.01)


def test_edges() -> None:
    assert sex_slope([1.0, -1.0], [False, True]) == pytest.approx(1e-3)  # wrong every time: no opinion
    assert sex_slope([1.0, -1.0], [True, False]) == pytest.approx(math.log(2), rel=1e-6)  # (1 + 1) / (1 + 2) is 2 to 1
    assert sex_slope([9.0, 1.0, -1.0], [True, True, False], [0, 1, 1]) == pytest.approx(math.log(2), rel=1e-6)
    with pytest.raises(ValueError, match="both labels"):
        sex_slope([1.0, 2.0], [True, True])
    assert log_loss([0.0, 0.0], [True, False]) == pytest.approx(math.log(2))
    assert log_loss([3.0, -800.0], [True, True], [1, 0]) == pytest.approx(math.log(1 + math.exp(-3)))


def test_calibration_of_a_network_counts_every_person_once() -> None:
    pairs = small_pairs(16)

    class Band(torch.nn.Module):
        """The embedding is the first mel bins' spread; only its presence matters here."""

        def forward(self, log_mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.nn.functional.normalize(log_mel.mean((1, 2)).unsqueeze(1).expand(-1, 4) + 1, dim=1), log_mel

    held = HeldOut.from_pairs(pairs, Frozen(Band()), "validation")
    assert held is not None

    class SinkEvent(torch.nn.Module):
        """Coefficients of every utterance, however it sounds."""

        def __init__(self, rows: np.ndarray) -> None:
            super().__init__()
            self.rows = torch.from_numpy(rows)

        def forward(self, embedding: torch.Tensor) -> torch.Tensor:
            return self.rows[: len(embedding)]

    means = pairs.morphable.sex_means[pairs.sexes[held.person]].astype(np.float32)
    found = sex_slope_report(held, SinkEvent(means))
    assert found["people"] == 4
    assert found["log_loss"]["calibrated"] < found["log_loss"]["coin"]
    twice = dataclasses.replace(
        held,
        utterances=np.concatenate([held.utterances, held.utterances]),
        embeddings=np.concatenate([held.embeddings, held.embeddings]),
    )
    again = sex_slope_report(twice, SinkEvent(np.concatenate([means, means])))
    assert again["sex_slope"] == pytest.approx(found["sex_slope"])
    assert held.sexes_agree(means) == 1
    wrong = means.copy()
    wrong[held.person == held.person[0]] *= -1  # one of four people
    assert held.sexes_agree(wrong) == 0.75
    # The slope is meant for the runtime's reading of the mesh.
    woman = pairs.morphable.sex_means[0]
    probability = read_attributes(pairs.morphable, woman, found["sex_slope"]).sex["female"]
    assert probability == pytest.approx(3 / 4, abs=1e-3)  # two women: (2 + 1) / (2 + 2)
    assert sex_slope_report(None, SinkEvent(means)) == {}
    assert (
        sex_slope_report(
            dataclasses.replace(held, utterances=held.utterances[:3], embeddings=held.embeddings[:3]), SinkEvent(means)
        )
        == {}
    )
