"""People who are measured on: their utterances, all of them or as many as are enough."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from voxface.training.evaluation.geometry.held_out import HeldOut, held_out_metrics  # noqa: E402
from voxface.training.models import MeshRegressor, VoiceEncoder  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402

pytestmark = pytest.mark.train


def test_as_many_utterances_as_are_enough() -> None:
    pairs, encoder = small_pairs(8), Frozen(VoiceEncoder(channels=(8, 8, 8, 8), embedding=6))
    told: list[tuple[int, int]] = []
    whole = HeldOut.from_pairs(pairs, encoder, "train", done=lambda done, total: told.append((done, total)))
    some, again = (HeldOut.from_pairs(pairs, encoder, "train", most=5) for _ in range(2))
    assert whole is not None
    assert some is not None
    assert again is not None
    assert len(whole.utterances) == 12  # four people, three clean utterances each
    assert told == [(k, 12) for k in range(1, 13)]
    assert len(some.utterances) == 5
    assert set(some.utterances) <= set(whole.utterances)
    np.testing.assert_array_equal(some.utterances, again.utterances)
    at = np.searchsorted(whole.utterances, some.utterances)
    np.testing.assert_allclose(some.embeddings, whole.embeddings[at], atol=1e-6)
    more = HeldOut.from_pairs(pairs, encoder, "train", most=12)
    assert more is not None
    np.testing.assert_array_equal(more.utterances, whole.utterances)


def test_people_without_a_known_face_are_left_out_and_counted() -> None:
    pairs, encoder = small_pairs(16), Frozen(VoiceEncoder(channels=(8, 8, 8, 8), embedding=6))
    whole = HeldOut.from_pairs(pairs, encoder, "test")
    coefficients = pairs.coefficients.copy()
    faceless = int(pairs.split("test")[0])
    coefficients[[faceless, int(pairs.split("train")[0])]] = np.nan
    own = replace(pairs, coefficients=coefficients)
    held = HeldOut.from_pairs(own, encoder, "test")
    assert whole is not None
    assert held is not None
    assert (whole.left_out, held.left_out) == (0, 1)
    assert set(held.person) == set(whole.person) - {faceless}
    np.testing.assert_allclose(held.embeddings, whole.embeddings[whole.person != faceless], atol=1e-6)
    said: list[str] = []
    network = MeshRegressor(embedding=6, coefficients=pairs.morphable.modes, hidden=0)
    found = held_out_metrics(own, encoder, network, torch.device("cpu"), said.append)
    assert found["test"]["people"] == len(pairs.split("test")) - 1
    assert found["test"]["people_left_out"] == 1
    assert "people_left_out" not in found["validation"]
    assert np.isfinite([found["test"]["are"], found["test"]["trivial"]["rms_mm"]]).all()
    assert sum("1 people without a known face are left out" in line for line in said) == 1
    nobody = replace(pairs, coefficients=np.full_like(coefficients, np.nan))
    assert HeldOut.from_pairs(nobody, encoder, "test") is None
