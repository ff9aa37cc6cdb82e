"""`voxface data prepare` and `voxface data synth --people` from outside: what they write, and what they say of bad input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.small_head import small_head, small_population
from voxface.training.data.pairs import Pairs

HEAD = small_head()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The options that name the small head and its population."""
    folder = tmp_path_factory.mktemp("model")
    HEAD.save(folder / "head.npz")
    small_population(HEAD).save(folder / "population.npz")
    return ["--faces", folder / "head.npz", "--population", folder / "population.npz", "--workers", 1]


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """A woman, a man, and a file that is no sound."""
    folder = tmp_path / "speech"
    for name, sample in zip(("ann", "bob"), SAMPLES, strict=True):
        (folder / name).mkdir(parents=True)
        shutil.copy(sample, folder / name / "one.flac")
    (folder / "bob" / "broken.wav").write_bytes(b"RIFF")
    (folder / "speakers.csv").write_text("speaker_id,sex\nann,F\nbob,M\n")
    return folder


def synth(out: Path, *more: object) -> int:
    return run("data", "synth", "--out", out, "--seconds", 2, "--utterances", 2, *more)


def test_synth_makes_people(tmp_path: Path, faces: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("open3d")
    assert synth(tmp_path / "a", "--people", 8, "--pictures", 1, "--seed", 3, "--json", *faces) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert (document["kind"], document["people"], document["female"], document["male"]) == ("synthetic", 8, 4, 4)
    assert document["splits"] == {
        "train": {"people": 4, "speakers": 4, "utterances": 16, "clean_utterances": 8, "pictures": 4},
        "validation": {"people": 2, "speakers": 2, "utterances": 8, "clean_utterances": 4, "pictures": 2},
        "test": {"people": 2, "speakers": 2, "utterances": 8, "clean_utterances": 4, "pictures": 2},
    }
    assert document["morphable_model"]["name"] == "small-head"
    assert document["errors"] == []
    pairs = Pairs.load(tmp_path / "a")
    assert pairs.digest == document["digest"]
    assert pairs.about["config"]["seed"] == 3
    assert document["voiced_hours"] == pytest.approx(len(pairs.frames) * 0.01 / 3600)
    assert pairs.pictures.shape == (8, 64, 64, 3)

    # The same again for people alone: fewer of the same, whatever it is told to print.
    assert synth(tmp_path / "b", "--people", 2, "--pictures", 1, "--seed", 3, "--coupling", 0.9, *faces) == 0
    assert (
        "2 people (1 female, 1 male; 2 train, 0 validation, 0 test), 8 utterances, 2 pictures"
        in capsys.readouterr().out
    )
    again = Pairs.load(tmp_path / "b")
    np.testing.assert_array_equal(again.coefficients, pairs.coefficients[:2])
    np.testing.assert_array_equal(again.pictures, pairs.pictures[:2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_prepare_pairs_real_voices(
    tmp_path: Path, speech: Path, faces: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d")
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "n.wav", np.random.default_rng(0).normal(0, 0.1, 8_000), 16_000)
    (tmp_path / "noise" / "empty.wav").touch()
    words = ["data", "prepare", "--speech", speech, "--noise", tmp_path / "noise", "--pictures", 2, "--variants", 1]
    code = run(*words, "--speeds", 1, 1.1, "--out", tmp_path / "pairs", "--json", *faces)
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    # What could be used is used; the rest is listed, and the exit code tells of the first.
    assert code == 3
    assert [error["file"] for error in document["errors"]] == ["bob/broken.wav", str(tmp_path / "noise" / "empty.wav")]
    assert {error["exit_code"] for error in document["errors"]} == {3}
    assert captured.err.count("\n") == 2
    assert "bob/broken.wav: only 4 bytes of a WAV or other RIFF file; is it damaged or cut short?" in captured.err
    assert (document["kind"], document["people"], document["female"]) == ("paired", 4, 2)
    assert document["splits"]["train"] == {
        "people": 4, "speakers": 2, "utterances": 8, "clean_utterances": 4, "pictures": 8,
    }  # fmt: skip
    pairs = Pairs.load(tmp_path / "pairs")
    assert [person.name for person in pairs.people] == ["speech-ann", "speech-ann@1.1", "speech-bob", "speech-bob@1.1"]
    assert [left["file"] for left in pairs.about["left_out"]] == ["bob/broken.wav"]

    # Without the bad files all is well, and the people are the same.
    (speech / "bob" / "broken.wav").unlink()
    assert run("data", "prepare", "--speech", speech, "--pictures", 2, "--out", tmp_path / "all", *faces) == 0
    assert "6 people (3 female, 3 male; 6 train, 0 validation, 0 test)" in capsys.readouterr().out
    again = Pairs.load(tmp_path / "all")
    np.testing.assert_array_equal(again.coefficients[[1, 2, 4, 5]], pairs.coefficients)


def test_the_default_bundle_has_a_model_and_a_population(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    assert synth(tmp_path / "a", "--people", 2, "--pictures", 1, "--variants", 0, "--workers", 1) == 0
    pairs = Pairs.load(tmp_path / "a")
    assert pairs.morphable.name == "voxface-embedded"
    assert pairs.population is not None
    assert (pairs.coefficients[:, pairs.morphable.identity_modes :] == 0).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["synth", "--people", 1], "1 people: at least 2"),
        (["synth", "--people", 4, "--coupling", 2], "coupling 2: 0 to 1"),
        (["synth", "--people", 4, "--seed", -1], "seed -1"),
        (["synth", "--people", 4, "--seconds", 0.1], "0.1 s an utterance"),
        (["synth", "--people", 4, "--pictures", 0], "0 pictures"),
        (["synth", "--people", 4, "--workers", 0], "--workers 0"),
        (["synth", "--people", 4, "--sex", "F"], "--sex: goes with --count"),
        (["synth", "--people", 4, "--count", 4], "not allowed with"),
        (["synth", "--count", 4, "--coupling", 0.5], "--coupling: goes with --people"),
        (["synth"], "one of the arguments --people --count is required"),
        (["prepare", "--speech", ".", "--speeds", 0], "speeds (0.0,)"),
        (["prepare"], "--speech"),
    ],
)
def test_what_cannot_be_asked_for(
    tmp_path: Path, words: list[object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("data", *words, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_already(tmp_path: Path, speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    for words in (["synth", "--people", 2], ["prepare", "--speech", speech]):
        assert run("data", *words, "--out", tmp_path / "out") == 2
        assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["gone", "no table", "all broken", "no noise"])
def test_speech_that_cannot_be_used(
    tmp_path: Path, speech: Path, faces: list[object], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d")
    more: list[object] = []
    if what == "gone":
        shutil.rmtree(speech)
    elif what == "no table":
        (speech / "speakers.csv").unlink()
    elif what == "all broken":
        for file in speech.rglob("*.flac"):
            file.write_bytes(b"RIFF")
    else:
        more = ["--noise", tmp_path / "quiet"]
    assert run("data", "prepare", "--speech", speech, "--out", tmp_path / "out", *faces, *more) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("voxface: error: ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("action", ["prepare", "synth"])
def test_help_loads_nothing(action: str) -> None:
    code = f"""
import sys
from voxface.cli import main
try:
    main(["data", "{action}", "--help"])
except SystemExit as end:
    assert end.code == 0
assert "numpy" not in sys.modules and "soundfile" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--workers" in done.stdout


def test_help_tells_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    from voxface.training.world.paired import PairedConfig
    from voxface.training.world.synthetic import SyntheticConfig

    made, paired = SyntheticConfig(people=2), PairedConfig()
    for action, wanted in {
        "synth": {
            "of every person": made.utterances, "of every utterance": made.seconds, "real ones do": made.coupling,
            "the clean one": made.variants, "px": f"{made.pictures.size} of people, 120 of faces",
        },
        "prepare": {
            "of every person": paired.pictures.each, "the clean one": paired.variants, "px": paired.pictures.size,
            "training speaker": " ".join(map(str, paired.speeds)),
        },
    }.items():  # fmt: skip
        assert run("data", action, "--help") == 0
        text = " ".join(capsys.readouterr().out.split())
        for what, value in wanted.items():
            assert f"{what} ({value:g})" in text if isinstance(value, float) else f"{what} ({value})" in text
