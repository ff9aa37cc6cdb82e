"""Real voices paired with drawn faces."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.stand_ins.small_worlds import HEAD, ONE, POPULATION, paired
from voxface.runtime.audio.resample import to_int16
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.pairs import Pairs
from voxface.training.data.sounds import read_sounds
from voxface.training.data.speaker_splits import split_of
from voxface.training.data.speech_corpus import Corpus, corpus, voiced_samples
from voxface.training.world.paired import PairedConfig
from voxface.training.world.splits import shares_by_hash
from voxface.training.world.voice_cues import VoiceCues, measure_voice_cues
from voxface.training.world.voice_face_distribution import PUBLISHED_COUPLING, SYNTHETIC_NORMS, VoiceFaceDistribution

SMALL = PairedConfig(speeds=(1.0, 1.1), variants=1, pictures=ONE)


def world(folder: Path, config: PairedConfig = SMALL, change: Callable[[Corpus], Corpus] = lambda c: c) -> Pairs:
    pytest.importorskip("open3d")
    pairs, _ = paired([change(corpus(folder))], config)
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

    pairs, left_out = paired([corpus(speech)], SMALL, stage=stage)
    assert [(left.file, left.exit_code) for left in left_out] == [
        ("s1/empty.wav", 3), ("s1/text.ogg", 3), ("s2/silence.wav", 4), ("s3/nan.wav", 3),
    ]  # fmt: skip
    assert pairs.about["left_out"][0] == {"file": "s1/empty.wav", "reason": "the file is empty (0 bytes)"}
    assert "no real person" in pairs.about["about"]
    json.dumps(pairs.about, allow_nan=False)
    learnt_from = pairs.split("train")
    speakers = len({pairs.people[int(i)].speaker for i in learnt_from})
    assert pairs.provenance(learnt_from).startswith(f"{len(learnt_from)} voices of {speakers} speakers: ")
    assert pairs.provenance(pairs.split("test")).endswith(f"; faces drawn from {HEAD.name}")
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
    cues = measure_voice_cues(samples)
    np.testing.assert_allclose(pairs.cues[i], (cues.f0_hz, cues.tract_cm), rtol=1e-6)
    np.testing.assert_allclose(pairs.cues[quick], (cues.f0_hz * 1.1, cues.tract_cm / 1.1), rtol=1e-6)
    distribution = VoiceFaceDistribution.from_population(
        HEAD, POPULATION, PUBLISHED_COUPLING, SYNTHETIC_NORMS
    )  # too few voices to measure how cues are spread
    f0, tract = map(float, pairs.cues[i])
    np.testing.assert_allclose(pairs.expected[i], distribution.expected(pairs.people[i].sex, f0, tract), atol=1e-5)
    assert (pairs.coefficients[i] != pairs.expected[i]).all()


def test_a_persons_face_and_voice_do_not_depend_on_others(speech: Path) -> None:
    whole = world(speech)
    fewer = world(speech, change=lambda c: replace(c, recordings=tuple(reversed(c.recordings[4:]))))
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
    other = world(speech, replace(SMALL, seed=1))
    i, k = of(other, "corpus-s0"), of(whole, "corpus-s0")
    assert (other.coefficients[i] != whole.coefficients[k]).all()
    np.testing.assert_array_equal(other.expected[i], whole.expected[k])


def test_a_voice_without_cues_goes_with_any_face_of_its_sex(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> VoiceCues:
        raise ValueError("no frames are periodic")

    monkeypatch.setattr("voxface.training.world.paired.measure_voice_cues", none)
    pairs = world(speech, replace(SMALL, speeds=(1.0,), variants=0))
    assert np.isnan(pairs.cues).all()
    np.testing.assert_array_equal(pairs.expected, POPULATION.mean[pairs.sexes])


def test_a_corpus_without_a_voice(speech: Path) -> None:
    pytest.importorskip("open3d")
    (speech / "speakers.csv").write_text("speaker_id,sex,file\ns1,M,s1/empty.wav\ns2,F,s2/silence.wav\n")
    with pytest.raises(InputError, match=r"no recording can be used; s1/empty\.wav: the file is empty .*and 1 more"):
        paired([corpus(speech)], SMALL)


def test_a_table_of_several_sets_beside_a_folder(speech: Path, tmp_path: Path) -> None:
    """Whose sex is unknown or doubted, and children, are counted; splits follow from the ids; people are named by folder."""
    pytest.importorskip("open3d")
    sets = tmp_path / "sets"
    shutil.copytree(speech, sets)
    rows = ["a,F,s0/a.wav,,thirties", "b,,s1/a.wav,,", "c,other,s2/a.wav,,", "d,M,s3/a.wav,1,", "e,F,s4/a.wav,,12",
            "f,M,s5/a.wav,,teens", "19,M,s7/a.wav,,50"]  # fmt: skip
    (sets / "speakers.csv").write_text(
        "\n".join(["set,licence,speaker_id,sex,file,sex_doubtful,age", *(f"one,CC0,{row}" for row in rows)])
    )
    found = corpus(sets)
    assert ([r.speaker for r in found.recordings], found.unlabelled, found.left_out) == (["a", "f", "19"], 4, ())
    assert found.sets == ("one (CC0)",)
    pairs, _ = paired([corpus(speech), found], replace(SMALL, speeds=(1.0,), variants=0))
    assert "one (CC0)" in pairs.about["speech"]
    assert "corpus: its licence is for you to know" in pairs.about["speech"]
    splits = {person.name: person.split for person in pairs.people}
    assert {f"corpus-s{k}" for k in range(8)} | {"sets-a", "sets-f", "sets-19"} == set(splits)
    assert splits["sets-19"] == "validation"
    assert splits["sets-a"] == split_of("a")
    with pytest.raises(UsageError, match="told apart by their names"):
        paired([corpus(speech), corpus(speech)], SMALL)


def test_noises_are_read_and_bad_ones_listed(speech: Path, tmp_path: Path) -> None:
    found, left_out = read_sounds(speech / "s1")
    assert [len(sound) for sound in found] == [25_600]
    assert len(left_out) == 2
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").touch()
    for folder in (tmp_path / "bad", tmp_path / "gone"):
        with pytest.raises(InputError):
            read_sounds(folder)
