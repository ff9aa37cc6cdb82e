"""Worlds to train in: which faces go with a voice, who is kept aside, what is made of recordings, pairs, batches."""

import json
import operator
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import speech_like
from tests.training.small_head import small_head, small_population
from tests.training.small_pairs import small_pairs
from voxface.runtime.audio import to_int16
from voxface.runtime.bundle import Bundle
from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.runtime.features import log_mel, network_input
from voxface.training.augment import AugmentConfig, augment, bell, change_speed
from voxface.training.crops import crop, negatives, pictures_of, positives, utterances_of
from voxface.training.faces.are import anatomical_pairs, are_ratios
from voxface.training.faces.population import FacePopulation
from voxface.training.in_order import in_order
from voxface.training.pairs import Pairs, Person
from voxface.training.speech import HELD_OUT, LIBRISPEECH, VALIDATION, Corpus, Recording, corpus, voiced_samples
from voxface.training.world.anatomy import FEWEST, PUBLISHED, SPEAKERS, Anatomy, Coupling, CueNorms, strong
from voxface.training.world.directions import voice_directions
from voxface.training.world.paired import PairedConfig, paired_world, sounds
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.speaker import Speaker
from voxface.training.world.splits import corpus_splits, first_by_hash, shares_by_hash, turn
from voxface.training.world.synthetic import SyntheticConfig, synthetic_world
from voxface.training.world.synthetic_voice import synthesise
from voxface.training.world.voice_cues import VoiceCues, voice_cues

HEAD = small_head()
POPULATION = small_population(HEAD)
ONE = PictureConfig(each=1, size=16)
NORMS = CueNorms(tract_cm=((14.0, 0.5), (17.0, 1.0)), f0_hz=((200.0, 20.0), (120.0, 10.0)))


# -- anatomy -----------------------------------------------------------------------------------------------------------


def correlated(seed: int = 3) -> FacePopulation:
    """A population whose coefficients go together."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(2, HEAD.modes, HEAD.modes)) * 0.4
    return FacePopulation(HEAD.sex_means, (mix @ mix.transpose(0, 2, 1) + 0.2 * np.eye(HEAD.modes)).astype(np.float32))


def ratios(faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """ARE ratios [S, 4] of faces [S, P]: ear, forehead, midline, cheek."""
    pairs = anatomical_pairs(HEAD.landmarks)
    return np.array([list(are_ratios(HEAD.vertices(face), pairs).values()) for face in faces])


@pytest.mark.parametrize("axes", ["lengths", "ratios"])
@pytest.mark.parametrize("sex", [0, 1])
def test_scores_are_uncorrelated_and_of_variance_one(axes: str, sex: int) -> None:
    population = correlated()
    directions = voice_directions(HEAD, population, sex, axes)  # type: ignore[arg-type]
    np.testing.assert_allclose(directions @ population.covariance[sex] @ directions.T, np.eye(2), atol=1e-6)


def test_the_scores_are_size_and_breadth_as_measured_on_meshes() -> None:
    rng = np.random.default_rng(0)
    faces = (0.3 * POPULATION.sample(1, 600, rng) + 0.7 * POPULATION.mean[1]).astype(np.float32)  # where slopes hold
    first, second = voice_directions(HEAD, POPULATION, 1, "ratios") @ (faces - POPULATION.mean[1]).T
    measured = ratios(faces)
    ear, forehead, midline, cheek = ((measured - measured.mean(0)) / measured.std(0)).T
    assert np.corrcoef(first, ear + forehead + midline + cheek)[0, 1] > 0.99
    breadth = (ear + cheek + forehead) / 3 - midline
    rest = breadth - np.polyval(np.polyfit(first, breadth, 1), first)
    assert np.corrcoef(second, rest)[0, 1] > 0.98
    lengths = np.array([HEAD.measure(HEAD.vertices(face))["face_length"] for face in faces])
    first, _ = voice_directions(HEAD, POPULATION, 1, "lengths") @ (faces - POPULATION.mean[1]).T
    assert np.corrcoef(first, lengths)[0, 1] > 0.99


@pytest.mark.parametrize("coupling", [PUBLISHED, strong(0.9), Coupling("uneven", (0.5, -0.3), (0.1, 1.0), "ratios")])
@pytest.mark.parametrize("sex", ["F", "M"])
def test_faces_follow_the_conditional_gaussian(coupling: Coupling, sex: str) -> None:
    """Against the formula for any Gaussian in blocks: μ + Σab Σbb⁻¹ b and Σaa − Σab Σbb⁻¹ Σba, with cues of unit variance."""
    population, index = correlated(), "FM".index(sex)
    anatomy = Anatomy.of(HEAD, population, coupling, NORMS)
    cues = (235.0, 13.75) if sex == "F" else (110.0, 18.0)  # f0, tract
    z = np.array([-0.5, 1.75]) if sex == "F" else np.array([1.0, -1.0])  # tract, f0
    covariance = population.covariance[index].astype(np.float64)
    g = voice_directions(HEAD, population, index, coupling.axes)
    across = covariance @ g.T @ np.diag([coupling.tract[index], coupling.f0[index]])
    mean = population.mean[index] + across @ z
    spread = covariance - across @ across.T
    np.testing.assert_allclose(anatomy.expected(sex, *cues), mean, atol=1e-5)  # type: ignore[arg-type]
    rng = np.random.default_rng(8)
    drawn = np.stack([anatomy.draw(sex, *cues, rng) for _ in range(3000)])  # type: ignore[arg-type]
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5 * scale.max() / np.sqrt(3000))
    np.testing.assert_allclose(np.cov(drawn.T), spread, atol=6 * scale.max() ** 2 / np.sqrt(3000))


def test_over_all_voices_the_population_is_kept_and_correlations_are_as_asked() -> None:
    population = correlated()
    anatomy = Anatomy.of(HEAD, population, strong(0.8), NORMS)
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4000, 2))
    z = z[(np.abs(z) < 2.5).all(1)]  # tract, f0; further ones count as 2.5
    faces = np.stack([anatomy.draw("M", 120 + 10 * b, 17 + a, rng) for a, b in z]).astype(np.float64)
    scale = np.sqrt(np.diag(population.covariance[1]))
    np.testing.assert_allclose(faces.mean(0), population.mean[1], atol=0.08 * scale.max())
    np.testing.assert_allclose(np.cov(faces.T), population.covariance[1], atol=0.1 * scale.max() ** 2)
    size, breadth = voice_directions(HEAD, population, 1, "ratios") @ (faces - population.mean[1]).T
    together = np.corrcoef(np.stack([z[:, 0], z[:, 1], size, breadth]))[:2, 2:]
    np.testing.assert_allclose(together, [[0.8, 0], [0, -0.8]], atol=0.05)


def test_a_cue_that_is_not_known_tells_nothing() -> None:
    anatomy = Anatomy.of(HEAD, POPULATION, strong(0.9), NORMS)
    unknown = (np.nan, np.nan)
    np.testing.assert_array_equal(anatomy.expected("F", *unknown), POPULATION.mean[0])
    plain = POPULATION.sample(0, 1, np.random.default_rng(5))[0]
    np.testing.assert_allclose(anatomy.draw("F", *unknown, np.random.default_rng(5)), plain, atol=1e-6)
    # At the mean f0 only the tract tells; held within 2.5 deviations.
    np.testing.assert_allclose(anatomy.expected("F", np.nan, 15.0), anatomy.expected("F", 200.0, 15.0), atol=1e-6)
    np.testing.assert_array_equal(anatomy.expected("F", 200.0, 15.25), anatomy.expected("F", 200.0, 99.0))


def test_expression_is_neutral() -> None:
    few = FacePopulation(POPULATION.mean[:, :7], POPULATION.covariance[:, :7, :7])
    anatomy = Anatomy.of(replace(HEAD, identity_modes=7), few, PUBLISHED, NORMS)
    face = anatomy.draw("F", 200, 14, np.random.default_rng(0))
    assert face.shape == (HEAD.modes,)
    assert (face[7:] == 0).all()
    assert (face[:7] != 0).all()


def test_what_cannot_be_coupled() -> None:
    with pytest.raises(InputError, match="between -1 and 1"):
        strong(1.2)
    with pytest.raises(InputError, match="made with the model"):
        Anatomy.of(HEAD, FacePopulation(POPULATION.mean[:, :4], POPULATION.covariance[:, :4, :4]), PUBLISHED, NORMS)
    with pytest.raises(InputError, match="none of the measurements"):
        voice_directions(replace(HEAD, measurements={}), POPULATION, 0, "lengths")
    with pytest.raises(InputError, match="do not vary"):
        voice_directions(HEAD, FacePopulation(POPULATION.mean, 0 * POPULATION.covariance), 0, "ratios")


def test_norms_are_measured_where_there_are_enough_voices() -> None:
    women = [("F", VoiceCues(180.0 + 10 * k, 14.0 + 0.1 * k)) for k in range(FEWEST)]
    norms = CueNorms.of([*women, ("M", VoiceCues(100.0, 20.0))])  # type: ignore[list-item]
    assert norms.f0_hz[0] == pytest.approx((215.0, 10 * np.std(range(8))))
    assert norms.tract_cm[0] == pytest.approx((14.35, 0.1 * np.std(range(8))))
    assert (norms.f0_hz[1], norms.tract_cm[1]) == (SPEAKERS.f0_hz[1], SPEAKERS.tract_cm[1])
    drawn = [Speaker.sample(np.random.default_rng(k), "male") for k in range(400)]
    assert np.mean([s.f0_hz for s in drawn]) == pytest.approx(SPEAKERS.f0_hz[1][0], abs=3)
    assert np.std([s.vocal_tract_length_cm for s in drawn]) == pytest.approx(SPEAKERS.tract_cm[1][1], rel=0.1)


def test_in_the_strong_world_a_voice_tells_much_of_the_face_and_in_the_published_one_little(
    default_bundle: Bundle,
) -> None:
    """Mean ARE of the conditional mean against that of the mean face of the sex, over drawn faces."""
    model = default_bundle.morphable
    population = FacePopulation.from_bytes(default_bundle.files[default_bundle.manifest["population"]["file"]])
    pairs = anatomical_pairs(model.landmarks)
    vertices = sorted({v for pair in pairs.values() for v in pair})
    mean, basis = model.mean[vertices], model.basis[:, vertices]
    renumbered = {name: (vertices.index(a), vertices.index(b)) for name, (a, b) in pairs.items()}

    def are(face: NDArray[np.float32]) -> NDArray[np.float64]:
        places = mean + np.tensordot(face, basis, 1)
        return np.array(list(are_ratios(places, renumbered).values()))

    gains = {}
    for coupling in (PUBLISHED, strong(0.9)):
        anatomy = Anatomy.of(model, population, coupling, SPEAKERS)
        rng = np.random.default_rng(2)
        told, plain = [], []
        for k in range(300):
            speaker, sex = Speaker.sample(rng, ("female", "male")[k % 2]), "FM"[k % 2]
            cues = (speaker.f0_hz, speaker.vocal_tract_length_cm)
            truth = are(anatomy.draw(sex, *cues, rng))  # type: ignore[arg-type]
            told.append(np.abs(are(anatomy.expected(sex, *cues)) - truth) / truth)  # type: ignore[arg-type]
            plain.append(np.abs(are(anatomy.expected(sex, np.nan, np.nan)) - truth) / truth)  # type: ignore[arg-type]
        gains[coupling.name] = 1 - np.mean(told) / np.mean(plain)
    assert 0.4 < gains["strong 0.9"] < 0.6
    assert -0.02 < gains["published"] < 0.05


# -- who is kept aside -------------------------------------------------------------------------------------------------


def test_synthetic_people_are_split_in_turns() -> None:
    splits = [turn(i) for i in range(40)]
    assert [splits.count(split) for split in ("train", "validation", "test")] == [24, 6, 10]
    assert splits[::2] == splits[1::2]  # as many women as men in each
    assert {turn(i) for i in range(8)} == {"train", "validation", "test"}
    assert turn(0) == turn(40) == "train"


def test_other_corpora_are_split_by_hash() -> None:
    sexes = {f"w{i}": "F" for i in range(20)} | {f"m{i}": "M" for i in range(3)} | {"x1": "M"} | {}
    splits = shares_by_hash(sexes)
    women = [splits[s] for s in sexes if sexes[s] == "F"]
    men = [splits[s] for s in sexes if sexes[s] == "M"]
    assert [women.count(split) for split in ("train", "validation", "test")] == [12, 3, 5]
    assert [men.count(split) for split in ("train", "validation", "test")] == [2, 1, 1]
    assert shares_by_hash(dict(reversed(sexes.items()))) == splits
    assert shares_by_hash({"a": "F", "b": "F"}) == {"a": "train", "b": "train"}


def test_librispeech_is_split_as_it_always_was(tmp_path: Path) -> None:
    assert len(VALIDATION) == 32
    assert not VALIDATION & HELD_OUT
    recordings = tuple(Recording(s, "F", tmp_path / f"{s}-1-0000.flac") for s in ("89", "19", "32"))
    splits = corpus_splits(Corpus(LIBRISPEECH, tmp_path, recordings))
    assert splits == {"89": "test", "19": "validation", "32": "train"}
    assert corpus_splits(Corpus("mine", tmp_path, recordings)) == shares_by_hash({"89": "F", "19": "F", "32": "F"})


@pytest.mark.speech
def test_the_validation_speakers_are_the_first_by_hash(shared: Path) -> None:
    found = corpus(shared / "speech" / "librispeech")
    assert (found.name, len(found.recordings), found.left_out) == (LIBRISPEECH, 241, ())
    rest = {speaker: sex for speaker, sex in found.sexes.items() if speaker not in HELD_OUT}
    assert first_by_hash("validation", rest, 16) == VALIDATION
    assert sum(found.sexes[s] == "F" for s in VALIDATION) == 16


# -- corpora -----------------------------------------------------------------------------------------------------------


@cache
def voice(number: int, seconds: float = 1.6) -> NDArray[np.float32]:
    rng = np.random.default_rng(number)
    return synthesise(Speaker.sample(rng, ("female", "male")[number % 2]), seconds, rng)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Eight speakers, women and men in turns, s0 with two recordings; and four files that cannot be used."""
    folder = tmp_path / "corpus"
    for i in range(8):
        (folder / f"s{i}").mkdir(parents=True)
        soundfile.write(folder / f"s{i}" / "a.wav", voice(i), 16_000)
    soundfile.write(folder / "s0" / "b.flac", voice(20), 16_000)
    (folder / "s1" / "empty.wav").touch()
    (folder / "s1" / "text.ogg").write_text("no sound")
    soundfile.write(folder / "s2" / "silence.wav", np.zeros(32_000), 16_000)
    soundfile.write(folder / "s3" / "nan.wav", np.full(8_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    rows = [f"s{i},{'FM'[i % 2]}" for i in range(8)]
    (folder / "speakers.csv").write_text("\n".join(["speaker_id,sex", *rows, ""]))
    return folder


def test_a_folder_of_speakers(speech: Path) -> None:
    (speech / "stranger").mkdir()
    shutil.copy(speech / "s0" / "a.wav", speech / "stranger")
    with (speech / "speakers.csv").open("a") as table:
        table.write("gone,F\nodd,X\n")
    found = corpus(speech)
    assert found.name == "corpus"
    assert [r.speaker for r in found.recordings].count("s1") == 3  # the unreadable ones show when they are read
    assert found.sexes == {f"s{i}": "FM"[i % 2] for i in range(8)}
    assert {left.file for left in found.left_out} == {"gone", "odd", "stranger"}


def test_a_table_of_recordings(speech: Path) -> None:
    lines = ["s0,female,s0/a.wav", "s1,m,s1/a.wav", "s2,F,gone.wav", "s3,?,s3/a.wav", ",F,s4/a.wav", "s0,F,s0/a.wav"]
    (speech / "speakers.csv").write_text("\n".join(["speaker_id,sex,file", *lines]))
    found = corpus(speech)
    assert [(r.speaker, r.sex, found.within(r.path)) for r in found.recordings] == [
        ("s0", "F", "s0/a.wav"),
        ("s1", "M", "s1/a.wav"),
    ]
    assert [left.reason for left in found.left_out] == [
        "speakers.csv, line 4: the file is not there",
        "speakers.csv, line 5: sex '?' is not F or M",
        "speakers.csv, line 6: no speaker_id",
        "speakers.csv, line 7: the file is listed twice",
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"no speakers\.csv in it; write one, columns speaker_id, sex"),
        ("name,gender\ns0,F\n", "it needs columns speaker_id, sex"),
        ("speaker_id,sex,file\n", "names no recording"),
        ("speaker_id,sex,file\ns0,F,gone.wav\n", "names no recording that is there; gone.wav"),
        ("speaker_id,sex,file\ns0,F,s0/a.wav\ns0,M,s1/a.wav\n", "both F and M"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
    ],
)
def test_what_is_no_corpus(speech: Path, table: str | bytes | None, message: str) -> None:
    if table is None:
        (speech / "speakers.csv").unlink()
    else:
        (speech / "speakers.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(InputError, match=message):
        corpus(speech)
    with pytest.raises(InputError, match="no such folder"):
        corpus(speech / "gone")


# -- the paired world --------------------------------------------------------------------------------------------------

SMALL = PairedConfig(speeds=(1.0, 1.1), variants=1, pictures=ONE)


def paired(folder: Path, config: PairedConfig = SMALL, change: Callable[[Corpus], Corpus] = lambda c: c) -> Pairs:
    pytest.importorskip("open3d")
    pairs, _ = paired_world(change(corpus(folder)), config, HEAD, POPULATION)
    return pairs


def of(pairs: Pairs, name: str) -> int:
    return [person.name for person in pairs.people].index(name)


def test_paired_world(speech: Path) -> None:
    pytest.importorskip("open3d")
    stages: list[tuple[str, int]] = []
    told: list[str] = []

    def stage(what: str, total: int) -> Callable[[str], None]:
        stages.append((what, total))
        return told.append

    pairs, left_out = paired_world(corpus(speech), SMALL, HEAD, POPULATION, stage=stage)
    assert [(left.file, left.exit_code) for left in left_out] == [
        ("s1/empty.wav", 3), ("s1/text.ogg", 3), ("s2/silence.wav", 4), ("s3/nan.wav", 3),
    ]  # fmt: skip
    assert pairs.about["left_out"][0] == {"file": "s1/empty.wav", "reason": "the file is empty (0 bytes)"}
    assert "no real person" in pairs.about["about"]
    json.dumps(pairs.about, allow_nan=False)
    learnt_from = pairs.split("train")
    speakers = len({pairs.people[int(i)].speaker for i in learnt_from})
    assert pairs.told(learnt_from).startswith(f"{len(learnt_from)} voices of {speakers} speakers: ")
    assert pairs.told(pairs.split("test")).endswith(f"; faces drawn from {HEAD.name}")
    assert stages == [("recordings", 13), ("people", len(pairs.people))]
    assert len(told) == 13 + len(pairs.people)

    # Speakers stay in one split; those who train are heard at both speeds, with noise; the others as they are.
    splits = shares_by_hash(corpus(speech).sexes)
    for i, person in enumerate(pairs.people):
        assert person.split == splits[person.speaker.removeprefix("corpus-")]
        training, recordings = person.split == "train", 2 if person.speaker == "corpus-s0" else 1
        assert len(pairs.clean_utterances[i]) == recordings
        assert len(pairs.utterances[i]) == recordings * (2 if training else 1)
        assert ("@1.1" in person.name) <= training
        assert len(set(pairs.utterance_recording[pairs.utterances[i]])) == recordings
        assert len(pairs.pictures_of[i]) == 1
    speakers = [person.speaker for person in pairs.people]
    assert sorted(speakers) == sorted(f"corpus-s{i}" for i in range(8) for _ in range(1 + (splits[f"s{i}"] == "train")))

    # The voice is the runtime's features of the runtime's speech; cues and faces follow from it.
    name = next(s for s in splits if splits[s] == "train" and s != "s0")
    i, quick = of(pairs, f"corpus-{name}"), of(pairs, f"corpus-{name}@1.1")
    samples = voiced_samples(to_int16(soundfile.read(speech / name / "a.wav", dtype="float32")[0]))
    np.testing.assert_allclose(pairs.utterance(int(pairs.clean_utterances[i][0])), log_mel(samples), atol=0.01)
    cues = voice_cues(samples)
    np.testing.assert_allclose(pairs.cues[i], (cues.f0_hz, cues.tract_cm), rtol=1e-6)
    np.testing.assert_allclose(pairs.cues[quick], (cues.f0_hz * 1.1, cues.tract_cm / 1.1), rtol=1e-6)
    anatomy = Anatomy.of(HEAD, POPULATION, PUBLISHED, SPEAKERS)  # too few voices to measure how cues are spread
    f0, tract = map(float, pairs.cues[i])
    np.testing.assert_allclose(pairs.expected[i], anatomy.expected(pairs.people[i].sex, f0, tract), atol=1e-5)
    assert (pairs.coefficients[i] != pairs.expected[i]).all()


def test_a_persons_face_and_voice_do_not_depend_on_others(speech: Path) -> None:
    whole = paired(speech)
    fewer = paired(speech, change=lambda c: replace(c, recordings=tuple(reversed(c.recordings[4:]))))
    assert 0 < len(fewer.people) < len(whole.people)
    same = 0
    for i, person in enumerate(fewer.people):
        names = [other.name for other in whole.people]
        if person.name not in names or whole.people[k := names.index(person.name)].split != person.split:
            continue  # in a smaller corpus others are kept aside
        same += 1
        np.testing.assert_array_equal(fewer.coefficients[i], whole.coefficients[k])
        np.testing.assert_array_equal(fewer.pictures[fewer.pictures_of[i]], whole.pictures[whole.pictures_of[k]])
        for a, b in zip(fewer.utterances[i], whole.utterances[k], strict=True):
            np.testing.assert_array_equal(fewer.utterance(int(a)), whole.utterance(int(b)))
    assert same >= 3
    other = paired(speech, replace(SMALL, seed=1))
    i, k = of(other, "corpus-s0"), of(whole, "corpus-s0")
    assert (other.coefficients[i] != whole.coefficients[k]).all()
    np.testing.assert_array_equal(other.expected[i], whole.expected[k])


def test_a_voice_without_cues_goes_with_any_face_of_its_sex(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> VoiceCues:
        raise ValueError("no frames are periodic")

    monkeypatch.setattr("voxface.training.world.paired.voice_cues", none)
    pairs = paired(speech, replace(SMALL, speeds=(1.0,), variants=0))
    assert np.isnan(pairs.cues).all()
    np.testing.assert_array_equal(pairs.expected, POPULATION.mean[pairs.sexes])


def test_a_corpus_without_a_voice(speech: Path) -> None:
    pytest.importorskip("open3d")
    (speech / "speakers.csv").write_text("speaker_id,sex,file\ns1,M,s1/empty.wav\ns2,F,s2/silence.wav\n")
    with pytest.raises(InputError, match=r"no recording can be used; s1/empty\.wav: the file is empty .*and 1 more"):
        paired_world(corpus(speech), SMALL, HEAD, POPULATION)


def test_noises_are_read_and_bad_ones_listed(speech: Path, tmp_path: Path) -> None:
    found, left_out = sounds(speech / "s1")
    assert [len(sound) for sound in found] == [25_600]
    assert len(left_out) == 2
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").touch()
    for folder in (tmp_path / "bad", tmp_path / "gone"):
        with pytest.raises(InputError):
            sounds(folder)


# -- the synthetic world -----------------------------------------------------------------------------------------------

TINY = SyntheticConfig(people=4, utterances=2, seconds=1.6, pictures=replace(ONE, each=2))


@pytest.fixture(scope="module")
def made() -> Pairs:
    pytest.importorskip("open3d")
    return synthetic_world(TINY, HEAD, POPULATION)


def equal(one: Pairs, other: Pairs, people: int) -> None:
    """The first people of both are the same."""
    assert one.people[:people] == other.people[:people]
    np.testing.assert_array_equal(one.coefficients[:people], other.coefficients[:people])
    np.testing.assert_array_equal(one.expected[:people], other.expected[:people])
    np.testing.assert_array_equal(one.cues[:people], other.cues[:people])
    for i in range(people):
        for a, b in zip(one.utterances[i], other.utterances[i], strict=True):
            np.testing.assert_array_equal(one.utterance(int(a)), other.utterance(int(b)))
        np.testing.assert_array_equal(one.pictures[one.pictures_of[i]], other.pictures[other.pictures_of[i]])


def test_synthetic_world(made: Pairs) -> None:
    assert made.kind == "synthetic"
    assert [person.sex for person in made.people] == ["F", "M", "F", "M"]
    assert [person.split for person in made.people] == ["train", "train", "test", "test"]
    assert "no real person" in made.about["about"]
    json.dumps(made.about, allow_nan=False)
    assert made.told(made.split("train")) == f"2 speakers: synthetic voices and faces of {HEAD.name}"
    assert made.pictures.shape == (8, 16, 16, 3)
    assert len({picture.tobytes() for picture in made.pictures}) == 8
    assert made.utterance_clean.tolist() == [True, False] * 8
    assert made.utterance_recording.tolist() == [k // 2 for k in range(16)]
    assert len({made.utterance(u).tobytes() for u in range(16)}) == 16
    anatomy = Anatomy.of(HEAD, POPULATION, strong(0.9), SPEAKERS)
    for i, person in enumerate(made.people):
        f0, tract = map(float, made.cues[i])
        np.testing.assert_allclose(made.expected[i], anatomy.expected(person.sex, f0, tract), atol=1e-5)
        assert (made.coefficients[i] != made.expected[i]).all()


def test_person_i_is_the_same_whatever_the_count(made: Pairs) -> None:
    equal(synthetic_world(replace(TINY, people=5), HEAD, POPULATION), made, 4)
    fewer = synthetic_world(replace(TINY, people=2, utterances=1, pictures=ONE, variants=0), HEAD, POPULATION)
    np.testing.assert_array_equal(fewer.coefficients, made.coefficients[:2])
    np.testing.assert_array_equal(fewer.utterance(1), made.utterance(4))
    np.testing.assert_array_equal(fewer.pictures[1], made.pictures[2])


def test_another_seed_makes_other_people(made: Pairs) -> None:
    other = synthetic_world(replace(TINY, people=2, seed=1), HEAD, POPULATION)
    assert (other.coefficients != made.coefficients[:2]).all()
    assert not np.array_equal(other.utterance(0), made.utterance(0))


@pytest.mark.slow
def test_processes_make_the_same_people(made: Pairs) -> None:
    equal(synthetic_world(TINY, HEAD, POPULATION, workers=2), made, 4)


def test_results_of_processes_come_in_order() -> None:
    assert list(in_order(operator.sub, 10, range(7), workers=2)) == [10, 9, 8, 7, 6, 5, 4]
    with pytest.raises(ZeroDivisionError):
        list(in_order(operator.floordiv, 1, [1, 0], workers=2))


def test_a_process_that_dies_is_named() -> None:
    import os

    with pytest.raises(ProviderError, match="--workers 1"):
        list(in_order(_die, os.getpid(), [1, 2], workers=2))


def _die(_: int, code: int) -> None:
    import os

    os._exit(code)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"people": 1}, "at least 2"),
        ({"utterances": 0}, "0 utterances"),
        ({"seconds": float("nan")}, "1 to 60"),
        ({"coupling": 1.1}, "0 to 1"),
        ({"variants": -1}, "not negative"),
        ({"seed": -1}, "not negative"),
    ],
)
def test_worlds_that_cannot_be(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SyntheticConfig(**{"people": 4, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"speeds": ()}, {"speeds": (1.0, 1.0)}, {"speeds": (0.1,)}, {"variants": -1}, {"seed": -1}]
)
def test_paired_worlds_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        PairedConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        PictureConfig(each=0)


# -- pairs on disk -----------------------------------------------------------------------------------------------------


def test_pairs_survive_the_way_to_disk_and_back(tmp_path: Path) -> None:
    pairs = replace(
        small_pairs(), population=FacePopulation(np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.float32))
    )
    digest = pairs.save(tmp_path / "deep" / "pairs")
    again = Pairs.load(tmp_path / "deep" / "pairs")
    assert again.digest == digest
    assert (again.kind, again.about, again.people) == (pairs.kind, pairs.about, pairs.people)
    for name in ("frames", "pictures", "offsets", "utterance_person", "utterance_clean", "coefficients", "cues"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pairs, name))
        assert getattr(again, name).dtype == getattr(pairs, name).dtype
    np.testing.assert_array_equal(again.morphable.triangles, pairs.morphable.triangles)
    assert again.population is not None
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["pairs"]
    with pytest.raises(InputError, match="is there already"):
        pairs.save(tmp_path / "deep" / "pairs")
    # The digest says what is learnt from: the same again, others for other people, whatever else is said about them.
    assert replace(pairs, about={}).save(tmp_path / "same") == digest
    renamed = (replace(pairs.people[0], name="x"), *pairs.people[1:])
    assert replace(pairs, people=renamed).save(tmp_path / "other") != digest


@pytest.mark.parametrize("file", ["frames.npy", "pictures.npy", "tables.npz", "morphable.npz", "pairs.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_damaged_pairs_are_refused(tmp_path: Path, file: str, how: str) -> None:
    small_pairs().save(tmp_path / "pairs")
    path = tmp_path / "pairs" / file
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif file == "pairs.json":
        path.write_bytes(data.replace(b'"train"', b'"test"', 1))
    else:
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(InputError, match="pairs"):
        Pairs.load(tmp_path / "pairs")
    if how == "cut":
        with pytest.raises(InputError, match="pairs"):
            Pairs.load(tmp_path / "pairs", verify=False)


def test_a_table_that_names_other_files_is_refused(tmp_path: Path) -> None:
    small_pairs().save(tmp_path / "pairs")
    document = json.loads((tmp_path / "pairs" / "pairs.json").read_text())
    from voxface.training.pairs import _digest

    document["files"]["../pairs.json"] = "0" * 64
    document["digest"] = _digest(document)
    (tmp_path / "pairs" / "pairs.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="does not belong here"):
        Pairs.load(tmp_path / "pairs")
    (tmp_path / "pairs" / "pairs.json").write_text('{"schema": 99}')
    with pytest.raises(InputError, match="schema 99"):
        Pairs.load(tmp_path / "pairs")
    (tmp_path / "pairs" / "pairs.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        Pairs.load(tmp_path / "pairs")
    with pytest.raises(InputError, match="voxface data prepare"):
        Pairs.load(tmp_path / "nothing")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        small_pairs().save(tmp_path / "file" / "pairs")


@pytest.mark.parametrize(
    "wrong",
    [
        {"offsets": np.array([0, 5])},
        {"pictures": np.zeros((16, 8, 8), np.uint8)},
        {"utterance_clean": np.ones(3, bool)},
        {"utterance_person": np.full(32, 8, np.int32)},
        {"picture_person": np.full(16, -1, np.int32)},
        {"coefficients": np.zeros((8, 5), np.float32)},
        {"people": tuple(Person("same", f"s{i}", "F", "train") for i in range(8))},
        {"people": tuple(Person(f"p{i}", "one", "F", "train" if i else "test") for i in range(8))},
        {"people": tuple(Person(f"p{i}", f"s{i}", "X", "train") for i in range(8))},  # type: ignore[arg-type]
    ],
)
def test_pairs_that_do_not_fit_together(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="invalid pairs"):
        replace(small_pairs(), **wrong)  # type: ignore[arg-type]


# -- batches -----------------------------------------------------------------------------------------------------------


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
    from voxface.training.embeddings import EmbeddingBank
    from voxface.training.models.frozen import Frozen

    class Mean(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x):  # type: ignore[no-untyped-def]
            return torch.nn.functional.normalize(x[:, :, 0], dim=1), None

    pairs, seed = case
    rng = np.random.default_rng(seed)
    people = np.arange(1, len(pairs.people), dtype=np.int32)
    bank = EmbeddingBank.of(pairs, Frozen(Mean()), people, each=2, length=(3, 6), seed=seed)
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
    speakers = np.array([person.speaker for person in pairs.people])
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


# -- augmentation ------------------------------------------------------------------------------------------------------


def test_a_band_of_the_equaliser() -> None:
    # 6 dB at 1 kHz, half of it half an octave away, (1/2)⁴ of it a whole octave away.
    hz = np.array([1000, 1000 * 2**0.5, 1000 / 2**0.5, 2000, 0])
    np.testing.assert_allclose(bell(hz, 1000, 1.0, 6.0), [6, 3, 3, 6 / 16, 0], atol=1e-9)


def test_the_equaliser_raises_as_many_decibels_as_it_is_told() -> None:
    speech = speech_like(2.0)
    config = AugmentConfig(
        noise=0,
        room=0,
        equaliser=1,
        gain_db=(0, 0),
        tilt_db=(0, 0),
        bands=(1, 1),
        band_db=(-9, -9),
        band_octaves=(1, 1),
    )
    before, after = (np.abs(np.fft.rfft(x)) for x in (speech, augment(speech, np.random.default_rng(0), config)))
    gain = 20 * np.log10(after / before)[before > 1e5]
    assert gain.min() == pytest.approx(-9, abs=0.6)
    assert np.median(gain) == pytest.approx(0, abs=0.2)
    none = replace(config, bands=(0, 0))
    np.testing.assert_array_equal(augment(speech, np.random.default_rng(0), none), speech)


def test_a_model_without_open3d_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "open3d", None)
    with pytest.raises(ProviderError, match="Open3D"):
        synthetic_world(TINY, HEAD, POPULATION)


# -- cues --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sex", "f0", "tracts"), [("female", 210.0, (13.0, 14.1, 15.2)), ("male", 120.0, (15.6, 16.9, 18.2))]
)
def test_the_measured_tract_follows_the_true_one(sex: str, f0: float, tracts: tuple[float, ...]) -> None:
    found = []
    for k, tract in enumerate(tracts):
        rng = np.random.default_rng(k)
        speaker = Speaker(sex, f0, 7.0, tract)  # type: ignore[arg-type]
        found.append(voice_cues(to_int16(synthesise(speaker, 6.0, rng))).tract_cm)
    np.testing.assert_allclose(found, tracts, rtol=0.09)
    assert 0.7 < np.polyfit(tracts, found, 1)[0] < 1.3


def test_a_voice_played_faster_has_a_shorter_tract() -> None:
    samples = to_int16(voice(1, 6.0))
    slow, fast = (voice_cues(change_speed(samples, speed)) for speed in (1.0, 1.1))
    assert fast.tract_cm / slow.tract_cm == pytest.approx(1 / 1.1, rel=0.03)
    assert fast.f0_hz / slow.f0_hz == pytest.approx(1.1, rel=0.03)
