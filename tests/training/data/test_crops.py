"""Batches of voices and pictures."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.features.normalisation import network_input, normalise
from voxface.training.data.crops import crop, negatives, positives, utterances_of
from voxface.training.data.images import pictures_of
from voxface.training.data.pairs import Pairs, Person


@st.composite
def any_pairs(draw: st.DrawFn) -> tuple[Pairs, int]:
    """Few people, some of one speaker, with recordings that are rendered once or several times; and a seed."""
    people = draw(st.integers(2, 6))
    pairs = _base(people)
    speakers = draw(st.lists(st.integers(0, 3), min_size=people, max_size=people))
    recordings = draw(st.lists(st.integers(0, 2), min_size=4 * people, max_size=4 * people))
    return replace(
        pairs,
        people=tuple(Person(f"p{i}", f"s{s}", "F", "train") for i, s in enumerate(speakers)),
        utterance_recording=(np.array(recordings) + 3 * (np.arange(4 * people) // 4)).astype(np.int32),
    ), draw(st.integers(0, 2**31))


@cache
def _base(people: int) -> Pairs:
    return small_pairs(people, frames=8, size=16)


@settings(max_examples=60, deadline=None)
@given(any_pairs())
def test_positives_are_the_same_person_and_negatives_another_speaker(case: tuple[Pairs, int]) -> None:
    pairs, seed = case
    rng = np.random.default_rng(seed)
    people = np.arange(len(pairs.people), dtype=np.int32)
    anchors = utterances_of(pairs, np.repeat(people, 3), rng)
    np.testing.assert_array_equal(pairs.utterance_person[anchors], np.repeat(people, 3))
    same = positives(pairs, anchors, rng)
    np.testing.assert_array_equal(pairs.utterance_person[same], pairs.utterance_person[anchors])
    assert (same != anchors).all()  # everyone has four utterances
    for anchor, positive in zip(anchors, same, strict=True):
        own = pairs.utterances[pairs.utterance_person[anchor]]
        if len(set(pairs.utterance_recording[own])) > 1:
            assert pairs.utterance_recording[anchor] != pairs.utterance_recording[positive]
    speakers = np.array([person.speaker for person in pairs.people])
    if len(set(speakers)) < 2:
        with pytest.raises(ValueError, match="two speakers"):
            negatives(pairs, anchors, people, rng)
        return
    other = negatives(pairs, anchors, people, rng)
    assert (speakers[pairs.utterance_person[other]] != speakers[pairs.utterance_person[anchors]]).all()


@settings(max_examples=40, deadline=None)
@given(any_pairs())
def test_a_bank_keeps_to_people_and_speakers_as_well(case: tuple[Pairs, int]) -> None:
    torch = pytest.importorskip("torch")
    from voxface.training.data.embeddings import PrecomputedEmbeddings
    from voxface.training.models.frozen import Frozen

    class Mean(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x):  # type: ignore[no-untyped-def]
            return torch.nn.functional.normalize(x[:, :, 0], dim=1), None

    pairs, seed = case
    rng = np.random.default_rng(seed)
    people = np.arange(1, len(pairs.people), dtype=np.int32)
    bank = PrecomputedEmbeddings.from_pairs(pairs, Frozen(Mean()), people, each=2, length=(3, 6), seed=seed)
    assert bank.embeddings.shape == (8 * len(people), 64)
    np.testing.assert_array_equal(bank.people, people)
    np.testing.assert_array_equal(bank.person, np.repeat(people, 8))
    rows = bank.draw(np.repeat(people, 2), rng)
    np.testing.assert_array_equal(bank.person[rows], np.repeat(people, 2))
    same = bank.positives(rows, rng)
    np.testing.assert_array_equal(bank.person[same], bank.person[rows])
    assert (same != rows).all()
    for row, positive in zip(rows, same, strict=True):
        if len(set(bank.recording[bank.person == bank.person[row]])) > 1:
            assert bank.recording[row] != bank.recording[positive]
    speakers = np.unique([person.speaker for person in pairs.people], return_inverse=True)[1]
    if len(set(speakers[people])) < 2:
        with pytest.raises(ValueError, match="two speakers"):
            bank.negatives(rows, speakers, rng)
    else:
        other = bank.negatives(rows, speakers, rng)
        assert (speakers[bank.person[other]] != speakers[bank.person[rows]]).all()


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
