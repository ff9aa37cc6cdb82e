"""The network of the speaker watch, trained and folded."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_voices import small_renderings  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.training.trainers.speaker_embedding import Network, train  # noqa: E402
from voxface.training.voices.sampler import VoiceSampler  # noqa: E402

pytestmark = pytest.mark.train


def test_the_folded_network_says_what_the_trained_one_says() -> None:
    torch.manual_seed(varied(3))
    network = Network()
    clips = 4 * torch.randn(16, 64, 200) + 10
    network.train()
    for _ in range(20):
        network(clips)  # normalisation that is not the identity
    network.eval()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(network(clips)).numpy()
    folded = network.fold()
    found = folded.voices(*(folded.steps(np.ascontiguousarray(clip.T)) for clip in clips.numpy()))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=0.01)  # half precision


def test_training_repeats(tmp_path: Path) -> None:
    sampler = VoiceSampler(small_renderings(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one, again = (train(sampler, steps=2, batch=4, seed=varied(1)) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    for first, second in zip(one.layers, again.layers, strict=True):
        np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.learns
def test_it_learns_to_tell_two_voices_apart(tmp_path: Path) -> None:
    """Of eight speakers that are pieces of two recordings, those of one recording come out nearer than those of two."""
    renderings = small_renderings(tmp_path)
    network = train(VoiceSampler(renderings), steps=150, batch=16, seed=varied(1))
    rows = renderings.of("train", clean=True)
    steps = [network.steps(renderings.frames[at : at + n].astype(np.float32))
             for at, n in zip(renderings.start[rows], renderings.length[rows], strict=True)]  # fmt: skip
    voices = network.voices(*steps)
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    of = renderings.voice[rows] % 2
    near = voices @ voices.T
    alike = of[:, None] == of[None, :]
    assert near[alike].mean() > near[~alike].mean() + 0.3
