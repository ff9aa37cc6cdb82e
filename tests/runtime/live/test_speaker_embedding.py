"""The network of the speaker watch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import voice
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.speaker_embedding_file import read_layers, write_layers
from voxface.runtime.features.log_mel import FrameWindow, log_mel
from voxface.runtime.live.speaker_embedding import SEEN, STRIDE, RunningSpeakerEmbedding, SpeakerEmbeddingNetwork


def default_network() -> SpeakerEmbeddingNetwork:
    """The network of the default bundle."""
    return SpeakerEmbeddingNetwork(Bundle.open().speaker_change.layers)


def frames(who: int) -> np.ndarray:
    return log_mel(voice(who))


def test_one_voice_agrees_with_itself_and_not_with_another() -> None:
    own = default_network()
    one, other = frames(0), frames(1)
    changed = disagreement(own, np.concatenate([one[:400], other[200:350]]))
    same = [disagreement(own, clip[:550]) for clip in (one, other)]
    assert max(same) < changed - 0.2
    louder = disagreement(own, np.concatenate([one[:400], other[200:350]]) + 3)
    assert changed == pytest.approx(louder, abs=1e-4), "loudness says nothing of a voice"


def disagreement(own: SpeakerEmbeddingNetwork, clip: np.ndarray) -> float:
    return own.disagreement(own.steps(clip[:-150]), own.steps(clip[-150:]))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=20),
)
def test_what_is_remembered_is_what_would_be_found(start: int, hops: list[tuple[int, int]]) -> None:
    own = default_network()
    clip = np.concatenate([frames(0), frames(1)])
    running, first, end = RunningSpeakerEmbedding(own), 0, 260
    for dropped, added in hops:
        end = min(end + added, len(clip))
        first = min(first + dropped, end - 260)
        window = clip[first:end].copy()
        window[-3:] += 1  # they will be others the next time
        there = FrameWindow(start + first, window, len(window) - 3)
        found = running.disagreement(there, 150, 400)
        new = RunningSpeakerEmbedding(own).disagreement(there, 150, 400)
        assert found == pytest.approx(new, abs=1e-5)
        assert running._known <= (150 + 400) // STRIDE
        assert len(running._rows) <= 3 * (150 + 400) // STRIDE


def test_a_step_depends_on_its_own_frames_alone() -> None:
    own = default_network()
    clip = frames(0)[:300]
    steps = own.steps(clip)
    assert len(steps) == (len(clip) - SEEN) // STRIDE + 1
    for k in (0, 1, 40, len(steps) - 1):
        alone = own.steps(clip[k * STRIDE : k * STRIDE + SEEN])
        np.testing.assert_allclose(alone, steps[k : k + 1], atol=1e-4)
    assert own.disagreement(steps, steps) == pytest.approx(0, abs=1e-5)
    assert disagreement(own, np.tile(clip[:150], (3, 1))) == pytest.approx(0, abs=0.02)


def test_it_is_small_and_survives_its_file() -> None:
    own = default_network()
    data = write_layers(own.layers)
    assert len(data) < 200_000
    for one, other in zip(own.layers, read_layers(data), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
