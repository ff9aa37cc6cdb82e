"""`speaker` on a few speakers: who is learnt from and who is measured, what systems say, and what is said to be missing."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.stand_ins.age import with_age
from tests.stand_ins.small_worlds import voice
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.speaker_splits import split_of
from voxface.training.evaluation.hearing.speaker_trials import halved, read_speech
from voxface.training.evaluation.hearing.voice_systems import MeanSpectrum, TeacherVoices
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.result import Row, SuiteResult
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.suites import speaker
from voxface.training.voices.listing import voices


def names(split: str, count: int) -> list[str]:
    """Ids of speakers of a split."""
    found = (f"speaker{k}" for k in range(10_000))
    return [name for name in found if split_of(name) == split][:count]


def write(folder: Path, tested: int = 12, learnt: int = 12, *, ages: bool = True) -> Path:
    """Synthetic voices, women and men in turns, of one recording each; the first has two."""
    folder.mkdir(parents=True)
    with (folder / "speakers.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["speaker_id", "file", "sex", "age"])
        for number, name in enumerate((*names("test", tested), *names("train", learnt))):
            for take in range(2 if number == 0 else 1):
                file = f"{name}-{take}.wav"
                sound = np.concatenate([voice(number, 4.0), voice(number, 4.0)])
                soundfile.write(folder / file, sound[8_000 * take :], 16_000)
                writer.writerow([name, file, "FM"[number % 2], 20 + 2 * number if ages else ""])
    return folder


@dataclass(frozen=True)
class SpectrumTeacher:
    """Stands for a public encoder: the mean spectrum, as one unit vector."""

    name: str = "stand-in (spectrum)"
    size: int = 64
    piece: int = 8_000

    def vectors(self, samples: NDArray[np.int16], every: int) -> NDArray[np.float32]:
        row = log_mel(samples).mean(0)
        unit: NDArray[np.float32] = (row / np.linalg.norm(row))[None]
        return unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("speech") / "few")


@pytest.fixture(scope="module")
def subject() -> Iterator[BundleSubject]:
    with BundleSubject(with_age(Bundle.open(), child=0.1, years=40.0), threads=1) as opened:
        yield opened


@pytest.fixture
def inputs(tmp_path: Path, folder: Path, subject: BundleSubject, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setattr(speaker, "resemblyzer", lambda: TeacherVoices(SpectrumTeacher(), "Resemblyzer"))
    return Inputs(tmp_path, given_bundle=subject, speech=(folder,))


def rows(found: SuiteResult, table: str) -> dict[str, Row]:
    (of,) = (one.rows for one in found.tables if one.name == table)
    return {row.method: row for row in of}


def test_halves_of_whole_recordings(folder: Path) -> None:
    listed = [one for one in voices(folder) if one.split == "test"]
    recordings, left_out = read_speech(listed)
    assert len(recordings) == 13
    assert not left_out
    pieces = halved(recordings)
    assert len(pieces) == 2 + 2 * 11
    assert np.array_equal(np.concatenate([pieces[2].samples, pieces[3].samples]), recordings[2].samples)


@pytest.mark.slow
def test_every_system_on_the_same_pieces(inputs: Inputs, subject: BundleSubject) -> None:
    found = speaker.run(inputs)
    verified = rows(found, "verification-few")
    assert list(verified) == [
        subject.name, "Resemblyzer", "Resemblyzer, centred on training speakers", "mean spectrum of the speech", "chance",
    ]  # fmt: skip
    assert [row.kind for row in verified.values()] == ["ours", "baseline", "baseline", "trivial", "trivial"]
    # Halves of one synthetic voice are alike to anything that hears at all.
    assert all(verified[name].values["EER"].value < 0.25 for name in (subject.name, "mean spectrum of the speech"))
    assert {number.trials for number in verified[subject.name].values.values()} == {24 * 23 // 2}
    told = rows(found, "age-few")
    true = np.array([20 + 2 * number for number in range(12)])
    weights = np.r_[2, np.ones(11)]  # the first speaker's two recordings
    assert told[f"{subject.name}, age told"].values["mean absolute error"].value == pytest.approx(
        np.average(np.abs(40 - true), weights=weights), abs=0.01
    )
    known = np.mean([20 + 2 * number for number in range(12, 24)])
    assert told["mean age of the training speakers"].values["mean absolute error"].value == pytest.approx(
        np.average(np.abs(known - true), weights=weights)
    )
    sexes = rows(found, "sex-few")
    assert f"{subject.name}, mesh" in sexes
    assert f"{subject.name}, linear probe" in sexes
    assert sexes["Resemblyzer, linear probe"].values["right"].value > 0.6
    assert found.facts["speech"]["few"] == {"speakers": 12, "recordings": 13, "pieces": 24}
    assert set(found.per_person["AUC of a speaker, few"].values) == set(names("test", 12))
    assert found.figures.keys() <= {"speaker-seconds.png"}
    assert not any("Resemblyzer" in sentence for sentence in found.missing)


def test_without_resemblyzer_it_is_said_how_to_get_it(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> TeacherVoices:
        raise ProviderError("the teacher's package is not installed: pip install …")

    monkeypatch.setattr(speaker, "resemblyzer", absent)
    few = write(tmp_path / "short", 3, 3, ages=False)
    found = speaker.run(replace(inputs, speech=(few,)))
    assert found.missing[0] == "Resemblyzer beside ours: the teacher's package is not installed: pip install …"
    assert any("age: its speakers.csv names the ages of fewer than 10" in sentence for sentence in found.missing)
    assert any("rates by seconds: fewer than 10" in sentence for sentence in found.missing)
    assert [table.name for table in found.tables] == ["verification-short"]


def test_what_cannot_be_measured(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--speech"):
        speaker.run(replace(inputs, speech=()))
    with pytest.raises(InputError, match="has no test speakers"):
        speaker.run(replace(inputs, speech=(write(tmp_path / "learnt", 0, 3),)))


def test_a_level_is_no_spectrum() -> None:
    sound = (3000 * voice(1, 2.0)).astype(np.int16)
    rows_of = MeanSpectrum().embed([sound, sound // 2])
    assert rows_of.shape == (2, 64)
    assert np.abs(rows_of[0] - rows_of[1]).mean() < 0.2
