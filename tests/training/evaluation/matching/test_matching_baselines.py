"""DIMNet and SVHF on frozen features: they learn what voices and faces have in common, and nothing where there is nothing."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.training.seeds import varied
from voxface.training.evaluation.baselines.dimnet import DimNet, DimNetConfig
from voxface.training.evaluation.baselines.features import Features, Standardised
from voxface.training.evaluation.baselines.svhf import Svhf, SvhfConfig
from voxface.training.evaluation.matching.drawn_trials import drawing
from voxface.training.evaluation.matching.matching_trials import Choice, by_cosine, tally_trials

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

PEOPLE = 60
DIM = DimNetConfig(steps=300, seed=varied())
CHOOSE = SvhfConfig(steps=400, seed=varied())


def world(related: bool, seed: int = 0) -> tuple[Features, Features]:
    """Features of people to learn from and of others; voice and face both show the same two numbers of a person, or not."""
    rng = np.random.default_rng(varied(seed))
    to_voice, to_face = rng.normal(size=(2, 10)), rng.normal(size=(2, 14))
    made = []
    for _ in range(2):
        traits = rng.normal(size=(PEOPLE, 2)) * 2
        voice_person, face_person = np.repeat(np.arange(PEOPLE), 6), np.repeat(np.arange(PEOPLE), 5)
        shown = traits if related else rng.normal(size=(PEOPLE, 2)) * 2
        voices = traits[voice_person] @ to_voice + 0.3 * rng.normal(size=(len(voice_person), 10))
        faces = shown[face_person] @ to_face + 0.3 * rng.normal(size=(len(face_person), 14))
        made.append(Features(voices.astype(np.float32), voice_person, faces.astype(np.float32), face_person))
    return made[0], made[1]


def share(choose: Choice, data: Features) -> float:
    drawn = drawing(data.voice_person.tolist(), data.face_person.tolist())
    value = tally_trials(drawn, 6000, {"it": choose}, data.voice_person, PEOPLE, seed=1)["it"].value
    assert value is not None
    return value


@pytest.mark.learns
def test_they_match_new_people_by_what_voices_and_faces_have_in_common() -> None:
    known, new = world(related=True)
    net = DimNet.train(known, np.arange(PEOPLE), DIM)
    choose = Svhf.train(known, CHOOSE)
    for data, least in ((known, 0.85), (new, 0.75)):
        assert share(by_cosine(net.of_voices(data.voices), net.of_faces(data.faces)), data) > least
        assert share(choose.choosing(data.voices, data.faces), data) > least


@pytest.mark.learns
def test_of_unrelated_voices_and_faces_they_know_nothing_about_new_people() -> None:
    known, new = world(related=False)
    net = DimNet.train(known, np.arange(PEOPLE), DIM)
    choose = Svhf.train(known, CHOOSE)
    assert share(by_cosine(net.of_voices(new.voices), net.of_faces(new.faces)), new) == pytest.approx(0.5, abs=0.12)
    assert share(choose.choosing(new.voices, new.faces), new) == pytest.approx(0.5, abs=0.12)


@pytest.mark.learns
def test_by_sex_it_learns_no_more_than_the_sex() -> None:
    rng = np.random.default_rng(varied(2))
    sexes = np.arange(PEOPLE) % 2
    made = []
    for _ in range(2):
        voice_person, face_person = np.repeat(np.arange(PEOPLE), 6), np.repeat(np.arange(PEOPLE), 5)
        voices, faces = (
            np.column_stack((3 * sexes[who], rng.normal(size=(len(who), 4)))).astype(np.float32)
            for who in (voice_person, face_person)
        )
        made.append(Features(voices, voice_person, faces, face_person))
    net = DimNet.train(made[0], sexes, DIM)
    # Right where the sexes differ, half of the time where they do not: 30 of the 59 others are of the other sex.
    right = share(by_cosine(net.of_voices(made[1].voices), net.of_faces(made[1].faces)), made[1])
    assert right == pytest.approx(1 - 0.5 * 29 / 59, abs=0.05)


def test_what_chooses_does_what_its_layers_say() -> None:
    rng = np.random.default_rng(4)
    first = tuple(rng.normal(size=(3, width)).astype(np.float32) for width in (2, 4, 4))
    bias, last = rng.normal(size=3).astype(np.float32), rng.normal(size=3).astype(np.float32)
    plain = (Standardised(np.zeros(n, np.float32), np.ones(n, np.float32)) for n in (2, 4))
    network = Svhf((first[0], first[1], first[2]), bias, last, 0.1, *plain)
    voices, faces = rng.normal(size=(5, 2)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    trials = np.column_stack((rng.integers(5, size=50), rng.permuted(np.tile(np.arange(6), (50, 1)), axis=1)[:, :2]))
    found = network.choosing(voices, faces, seed=9)(trials)
    sides = np.random.default_rng([9, 97]).integers(2, size=50)
    for (voice, right, wrong), side, chosen in zip(trials, sides, found, strict=True):
        shown = (faces[right], faces[wrong]) if side == 0 else (faces[wrong], faces[right])
        hidden = np.maximum(first[0] @ voices[voice] + first[1] @ shown[0] + first[2] @ shown[1] + bias, 0)
        assert chosen == float((hidden @ last + 0.1 > 0) == (side == 1))
