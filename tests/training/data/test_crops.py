"""Batches of voices and pictures."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.features.normalisation import network_input, normalise
from voxface.training.data.crops import crop
from voxface.training.data.images import pictures_of


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**31))
def test_crops_are_stretches_normalised_as_the_runtime_does(have: int, want: int, seed: int) -> None:
    frames = np.random.default_rng(7).normal(3, 2, (have, 4)).astype(np.float32)
    piece = crop(frames, want, np.random.default_rng(seed))
    assert piece.shape == (want, 4)
    repeated = np.concatenate([frames] * (want // have + 2))
    starts = range(max(have - want, -(-want // have) * have - want) + 1)
    stretches = [repeated[s : s + want].astype(np.float64) for s in starts]
    normal = [(s - s.mean(0)) / (s.std(0) + np.finfo(np.float32).eps) for s in stretches]
    assert min(np.abs(piece - n).max() for n in normal) < 1e-5


def test_a_whole_recording_as_a_crop_is_what_the_runtime_encodes() -> None:
    frames = np.random.default_rng(0).normal(3, 2, (1200, 64)).astype(np.float32)
    np.testing.assert_array_equal(crop(frames, 1200, np.random.default_rng(0)).T[None], network_input(frames))


def test_pictures_are_of_the_person_and_sometimes_mirrored() -> None:
    pairs = small_pairs(size=16)
    people = np.repeat(np.arange(8), 20).astype(np.int32)
    shown = pictures_of(pairs, people, np.random.default_rng(0))
    assert shown.shape == (160, 3, 16, 16)
    assert shown.dtype == np.float32
    mirrored = 0
    for person, picture in zip(people, shown, strict=True):
        back = np.rint(picture.transpose(1, 2, 0) * 127.5 + 127.5)
        own = pairs.pictures[pairs.pictures_of[person]]
        plain, flipped = (own == back).all((1, 2, 3)).any(), (own[:, :, ::-1] == back).all((1, 2, 3)).any()
        assert plain or flipped
        mirrored += flipped
    assert 55 < mirrored < 105


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 80), st.sampled_from(["bands", "level"]), st.integers(0, 2**31))
def test_a_crop_of_a_normalised_utterance(frames: int, length: int, how: str, seed: int) -> None:
    utterance = np.random.default_rng(seed).normal(3, 2, (frames, 64)).astype(np.float32)
    piece = crop(utterance, length, np.random.default_rng(seed), how, "utterance")
    normal = normalise(utterance, how)
    repeated = np.tile(normal, (-(-length // frames), 1))
    start = int(np.random.default_rng(seed).integers(len(repeated) - length + 1))
    np.testing.assert_allclose(piece, repeated[start : start + length], atol=1e-6)


def test_what_is_normalised_differs() -> None:
    utterance = np.random.default_rng(0).normal(3, 2, (500, 64)).astype(np.float32) + np.linspace(0, 3, 500)[:, None]
    for how in ("bands", "level"):
        one, other = (crop(utterance, 100, np.random.default_rng(1), how, over) for over in ("crop", "utterance"))
        assert np.abs(one.mean()) < 1e-3 < np.abs(other.mean())
