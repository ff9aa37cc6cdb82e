"""`voxface data voices` and the training on it from outside: what they write, and what they say of bad input."""

import json
from pathlib import Path

import pytest
import torch

from tests.command_line import run
from tests.stand_ins.small_voices import speech_folder
from voxface.training.voices.resemblyzer import Resemblyzer

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights with random numbers in it."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("teacher") / "pretrained.pt"
    state = Resemblyzer().state_dict()
    torch.save({"model_state": {name: value for name, value in state.items() if name != "filters"}}, file)
    return file


def voices(tmp_path: Path, teacher: Path, *more: object, speech: Path | None = None) -> int:
    if speech is None:
        speech = tmp_path / "speech"
        if not speech.exists():
            speech_folder(speech)
    given = ("--speech", speech, "--teacher", teacher, "--out", tmp_path / "voices", "--workers", 1, "--speeds", 1.0)
    return run("data", "voices", *given, *more)


def test_voices_are_rendered_and_an_encoder_learns_from_them(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(tmp_path, teacher, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["voices"], document["speakers"], document["errors"]) == (8, 8, [])
    assert document["teacher"].startswith("Resemblyzer")
    assert sum(split["voices"] for split in document["splits"].values()) == 8
    assert document["splits"]["train"]["renderings"] == 2 * document["splits"]["train"]["voices"]

    given = ("--data", tmp_path / "voices", "--steps", 2, "--batch", 4, "--set", "crop=64,80", "--accelerator", "cpu")
    assert run("train", "voice-encoder", *given, "--out", tmp_path / "run", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["networks"] == ["encoder"]
    assert {"direction", "similarity", "contrast", "sex", "age"} <= set(document["losses"])
    more = ("--start", tmp_path / "run", "--out", tmp_path / "more")
    assert run("train", "voice-encoder", *given, *more) == 0


def test_what_is_there_stays_unless_force_is_given(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(tmp_path, teacher) == 0
    before = (tmp_path / "voices" / "renderings.json").read_bytes()
    assert voices(tmp_path, teacher) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "voices" / "renderings.json").read_bytes() == before
    assert voices(tmp_path, teacher, "--force", "--seed", 1) == 0
    assert (tmp_path / "voices" / "renderings.json").read_bytes() != before


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--speeds", 0.9), 2, "speeds"),
        (("--degraded", -1), 2, "degraded"),
        (("--formants", 0.9), 2, "formants"),
        (("--formants", "nan"), 2, "formants"),
        (("--workers", 0), 2, "--workers"),
        (("--teacher", "nothing.pt"), 3, "nothing.pt"),
        (("--noise", "nowhere"), 3, "nowhere"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    tmp_path: Path, teacher: Path, more: tuple[object, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(tmp_path, teacher, *more) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "voices").exists()


def test_a_file_that_cannot_be_read_is_left_out(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = speech_folder(tmp_path / "speech")
    (speech / "s3.wav").write_bytes(b"RIFF")
    assert voices(tmp_path, teacher, "--json") == 3
    captured = capsys.readouterr()
    (error,) = json.loads(captured.out)["errors"]
    assert "s3.wav" in error["file"]
    assert (tmp_path / "voices" / "renderings.json").exists()


@pytest.mark.parametrize("more", [("--preset", "wen2019"), ("--beside", "pairs")])
def test_options_of_pairs_do_not_go_with_a_teacher(
    tmp_path: Path, teacher: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(tmp_path, teacher) == 0
    assert run("train", "voice-encoder", "--data", tmp_path / "voices", "--out", tmp_path / "run", *more) == 2
    assert "teacher" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_start_goes_with_a_teacher_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pairs").mkdir()
    given = ("--data", tmp_path / "pairs", "--start", tmp_path / "other", "--out", tmp_path / "run")
    assert run("train", "voice-encoder", *given) == 2
    assert "--start" in capsys.readouterr().err


def test_nothing_is_left_where_no_voice_can_be_used(
    tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = speech_folder(tmp_path / "speech", speakers=2)
    for file in speech.glob("*.wav"):
        file.write_bytes(b"")
    assert voices(tmp_path, teacher) == 3
    error = capsys.readouterr().err
    assert "none of 2 voices" in error
    assert "s0.wav" in error
    assert {file.name for file in tmp_path.iterdir()} == {"speech"}
