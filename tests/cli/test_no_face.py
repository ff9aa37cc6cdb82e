"""`voxface run` on what is no speech: the reason that `voxface live` gives; the least confidence; channels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.live_session import noise, nothing, voice
from tests.stand_ins.sounds import NO_SPEECH, tones
from voxface.cli import build_parser
from voxface.cli.arguments import check_min_confidence
from voxface.runtime.config.live import MIN_CONFIDENCE


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_what_is_no_speech_among_speech(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["tone of 440 Hz", "chord", "white noise", "music: piano", "zeros"]
    paths = [tmp_path / f"{k}.wav" for k in range(len(names))]
    for path, name in zip(paths, names, strict=True):
        soundfile.write(path, NO_SPEECH[name](), 16_000)
    assert run("run", paths[0], SAMPLES[0], *paths[1:], "--out", tmp_path / "out", "--json") == 4
    found = document(capsys)
    assert [Path(clip["file"]) for clip in found["clips"]] == [SAMPLES[0]]
    assert [Path(error["file"]) for error in found["errors"]] == paths
    reasons = []
    for path, error in zip(paths, found["errors"], strict=True):
        assert run("live", "--source", path, "--json") == 4
        reasons.append(document(capsys)["no_face"])
        assert error["exit_code"] == 4
        assert error["reason"] == reasons[-1]
        assert error["message"].startswith(f"{path}: no speech found in 4.00 s ({error['reason']}: ")
    assert reasons == ["music", "music", "noise", "music", "all-zero microphone"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("no speech found in 4.00 s") == len(names)


def test_recorded_noises_get_no_face(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noises = sorted((shared / "noise").glob("*.wav"))
    assert run("run", *noises, "--out", tmp_path / "out", "--json") == 4
    found = document(capsys)
    assert found["clips"] == []
    assert {error["reason"] for error in found["errors"]} <= {"noise", "music"}
    assert not (tmp_path / "out").exists()


def test_real_speech_keeps_its_face(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = sorted((shared / "conformance").glob("*.wav"))
    assert run("run", *clips, "--out", tmp_path / "out", "--json") == 0
    assert min(clip["confidence"] for clip in document(capsys)["clips"]) > 0.6


def test_speech_after_music_has_its_own_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = np.concatenate([np.resize(tones(261.6, 329.6, 392.0), 16_000 * 15), voice()])
    soundfile.write(tmp_path / "show.wav", samples, 16_000)
    assert run("run", tmp_path / "show.wav", SAMPLES[0], "--out", tmp_path / "out", "--json") == 0
    show, alone = document(capsys)["clips"]
    assert show["duration_s"] == 23
    assert show["voiced_s"] < 13
    assert show["segments"][0][0] > 10
    assert show["confidence"] > 0.5
    assert np.dot(show["embedding"], alone["embedding"]) > 0.7


def test_the_least_confidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", SAMPLES[0], "--out", tmp_path / "one", "--json") == 0
    (clip,) = document(capsys)["clips"]
    just = str(clip["confidence"])
    assert run("run", SAMPLES[0], "--out", tmp_path / "two", "--min-confidence", just) == 0
    capsys.readouterr()
    assert run("run", *SAMPLES, "--out", tmp_path / "three", "--min-confidence", 0.99, "--json") == 4
    captured = capsys.readouterr()
    errors = json.loads(captured.out)["errors"]
    assert [error["reason"] for error in errors] == ["confidence"] * 2
    assert f"(confidence: {clip['confidence']:.2f}, at least 0.99 is asked for)" in errors[0]["message"]
    assert len(captured.err.splitlines()) == 2
    assert not (tmp_path / "three").exists()
    assert run("live", "--source", SAMPLES[0], "--min-confidence", 0.99, "--json") == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out)["no_face"] == "confidence"
    assert "(confidence)" in captured.err


@pytest.mark.parametrize("verb", ["run", "live"])
@pytest.mark.parametrize("least", ["-0.1", "1.5", "nan"])
def test_confidences_that_cannot_be(verb: str, least: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", SAMPLES[0], "--out", tmp_path / "out"] if verb == "run" else ["live", "--source", SAMPLES[0]]
    assert run(*words, f"--min-confidence={least}") == 2
    assert capsys.readouterr().err.strip().endswith(f"--min-confidence {float(least):g}: 0 (none) to 1")


def test_help_says_the_default() -> None:
    for verb in ("run", "live"):
        (sub,) = (a for a in build_parser(verb)._actions if a.dest == "verb")
        said = sub.choices[verb].format_help()  # type: ignore[index, union-attr]
        assert f"0 (none) to 1 ({MIN_CONFIDENCE:g})" in " ".join(said.split())
    assert check_min_confidence(None) == MIN_CONFIDENCE


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """A female voice on the left, noise on the right."""
    own = voice()
    both = np.stack([own, noise(len(own) / 16_000, 6000)[: len(own)]], 1)
    soundfile.write(tmp_path / "stereo.wav", both, 16_000)
    return tmp_path / "stereo.wav"


def test_one_channel_of_a_file(stereo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", stereo, "--channel", 1, "--out", tmp_path / "left", "--json") == 0
    left = document(capsys)["clips"][0]
    assert run("run", SAMPLES[0], "--out", tmp_path / "alone", "--json") == 0
    alone = document(capsys)["clips"][0]
    assert left["embedding"] == alone["embedding"]
    assert run("run", stereo, "--channel", 2, "--out", tmp_path / "right", "--json") == 4
    assert document(capsys)["errors"][0]["reason"] == "noise"
    assert run("run", stereo, SAMPLES[0], "--channel", 2, "--out", tmp_path / "none", "--json") == 4
    assert [error["exit_code"] for error in document(capsys)["errors"]] == [4, 2], "the second file has one channel"


@pytest.mark.parametrize("channel", [0, -1])
def test_channels_that_cannot_be(
    channel: int, stereo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", stereo, f"--channel={channel}", "--out", tmp_path / "out") == 2
    assert f"--channel {channel}: channels are counted from 1" in capsys.readouterr().err


def test_silence_with_a_blip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "blip.wav", np.concatenate([nothing(3), voice()[:1600], nothing(3)]), 16_000)
    assert run("run", tmp_path / "blip.wav", "--out", tmp_path / "out", "--json") == 4
    assert document(capsys)["errors"][0]["reason"] in ("all-zero microphone", "too little speech")
