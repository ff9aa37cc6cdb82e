"""The network of the speaker watch, trained and folded."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.live_session import voice  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.training.trainers.speaker_embedding import Network, train  # noqa: E402

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


def test_training_repeats() -> None:
    clips = [voice(0)[:96_000], voice(1)[:96_000]]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one, again = (train(clips, steps=2, batch=4, seed=varied(1)) for _ in range(2))
    finally:
        torch.set_num_threads(threads)
    for first, second in zip(one.layers, again.layers, strict=True):
        np.testing.assert_array_equal(first[0], second[0])
