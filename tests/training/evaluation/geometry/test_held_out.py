"""People who are measured on: their utterances, all of them or as many as are enough."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from voxface.training.evaluation.geometry.held_out import HeldOut  # noqa: E402
from voxface.training.models import VoiceEncoder  # noqa: E402
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
