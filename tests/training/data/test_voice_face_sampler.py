"""What a GAN is shown: voices and pictures of people, and which recordings are kept back."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.runtime.features.normalisation import normalise  # noqa: E402
from voxface.training.data.images import as_images  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.data.voice_face_sampler import OnTheFlyEmbeddings, VoiceFaceSampler  # noqa: E402
from voxface.training.models import VoiceEncoder  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return small_pairs()


@pytest.fixture
def encoder() -> VoiceEncoder:
    torch.manual_seed(5)
    return VoiceEncoder(channels=(8, 8, 8, 8), embedding=6)


def fresh(pairs: Pairs, encoder: nn.Module, length: tuple[int, int] = (40, 90)) -> OnTheFlyEmbeddings:
    utterances = np.concatenate([pairs.utterances[int(i)] for i in pairs.split("train")])
    return OnTheFlyEmbeddings(pairs, Frozen(encoder), utterances, length, torch.device("cpu"))


def test_crops_are_those_of_the_published_code(pairs: Pairs, encoder: VoiceEncoder) -> None:
    voices = fresh(pairs, encoder)
    lengths = set()
    for seed in range(8):
        rows = np.arange(6)
        found = voices.prepare(rows, np.random.default_rng(seed))
        assert found.shape[:2] == (6, 64)
        lengths.add(found.shape[2])
        for row, piece in zip(rows, found, strict=True):
            whole = normalise(pairs.utterance(int(pairs.utterances[int(voices.person[row])][row % 4])))
            windows = np.lib.stride_tricks.sliding_window_view(whole[:, :8], found.shape[2], axis=0)
            error = np.abs(windows - piece[:8]).max((1, 2)).min()
            assert error < 1e-4  # a piece of the whole, normalised before it was cut
    assert min(lengths) >= 40
    assert max(lengths) <= 90
    assert len(lengths) > 4


def test_short_recordings_are_tiled(pairs: Pairs, encoder: VoiceEncoder) -> None:
    found = fresh(pairs, encoder, (400, 400)).prepare(np.array([0]), np.random.default_rng(0))[0]
    period = len(pairs.utterance(int(pairs.utterances[0][0])))
    np.testing.assert_allclose(found[:, period:], found[:, :-period])


def test_independent_draws_follow_how_much_there_is(encoder: VoiceEncoder) -> None:
    pairs = small_pairs(people=4)
    # Person 0 has three pictures, person 1 one; recordings are even.
    whose = pairs.picture_person.copy()
    whose[whose.tolist().index(1)] = 0
    pairs = replace(pairs, picture_person=whose)
    batches = VoiceFaceSampler(pairs, pairs.split("train"), fresh(pairs, encoder), torch.device("cpu"))
    batch = batches.draw(400, "independent", 0.5, np.random.default_rng(0))
    assert float((batch.face == 0).float().mean()) == pytest.approx(0.75, abs=0.06)
    assert float((batch.voice == 0).float().mean()) == pytest.approx(0.5, abs=0.06)
    # Two draws: the voices' people are not the faces'.
    assert float((batch.voice == batch.face).float().mean()) == pytest.approx(0.5, abs=0.06)
    even = batches.draw(400, "balanced", 0.5, np.random.default_rng(0))
    assert torch.equal(even.voice, even.face)
    assert torch.bincount(even.face).tolist() == [200, 200]


def test_a_batch_is_made_of_its_people(pairs: Pairs, encoder: VoiceEncoder) -> None:
    people = pairs.split("train")
    voices = fresh(pairs, encoder)
    batches = VoiceFaceSampler(pairs, people, voices, torch.device("cpu"))
    batch = batches.draw(16, "balanced", 0.5, np.random.default_rng(1))
    originals = {int(i): as_images(torch.from_numpy(pairs.pictures[pairs.pictures_of[int(i)]])) for i in people}
    mirrored = 0
    for image, face in zip(batch.image, batch.face.tolist(), strict=True):
        own = originals[int(people[face])]
        straight, flipped = (bool((other == image).all((1, 2, 3)).any()) for other in (own, own.flip(3)))
        assert straight or flipped
        mirrored += flipped
    assert 0 < mirrored < 16
    expected = torch.cat(list(originals.values())).mean((0, 2, 3))
    torch.testing.assert_close(batches.mean_colour, expected, atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="both a voice and a picture"):
        VoiceFaceSampler(pairs, pairs.split("test"), voices, torch.device("cpu"))
