"""Sound files at the command line: a bad one costs no other, and what is heard or named is the same in `run` and `live`."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from tests.stand_ins.sound_files import RATE, encoded, pcm_format, speech, wav, without_info

SPEECH = speech(4.0)
BAD = {
    "1 Hz": wav(SPEECH.tobytes(), form=pcm_format(rate=1)),
    "2 GHz": wav(SPEECH.tobytes(), form=pcm_format(rate=2**31 - 1)),
    "60,000 channels": wav(SPEECH.tobytes(), form=pcm_format(channels=60_000)),
    "SDS, for which libsndfile prints": encoded(np.random.default_rng(1).normal(0, 0.3, 30_000), "SDS", "PCM_16"),
    "cut": wav(SPEECH.tobytes())[:-50_000],
    "integers as float": encoded(SPEECH.astype(np.float32), "WAV", "FLOAT"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_costs_no_other(what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.wav", "c.wav"):
        (tmp_path / name).write_bytes(encoded(SPEECH, "WAV"))
    (tmp_path / "b.wav").write_bytes(BAD[what])
    files = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    assert run("run", *files, "--out", tmp_path / "out", "--json") == 3
    said = capfd.readouterr()
    document = json.loads(said.out)
    assert [Path(clip["file"]).name for clip in document["clips"]] == ["a.wav", "c.wav"]
    assert [(Path(error["file"]).name, error["exit_code"]) for error in document["errors"]] == [("b.wav", 3)]
    assert said.err.count("\n") == 1


def test_a_file_that_was_never_closed_gives_the_same_face(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wav").write_bytes(wav(SPEECH.tobytes()))
    (tmp_path / "b.wav").write_bytes(wav(SPEECH.tobytes(), size=0, riff=36))
    (tmp_path / "c.wav").write_bytes(wav(SPEECH.tobytes(), size=2 * len(SPEECH) + 44))
    (tmp_path / "d.mp3").write_bytes(
        without_info(encoded(SPEECH, "MP3", bitrate_mode="VARIABLE", compression_level=0.1))
    )
    files = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav", "d.mp3")]
    assert run("run", *files, "--out", tmp_path / "out", "--json") == 0
    first, *others, mp3 = json.loads(capfd.readouterr().out)["clips"]
    assert first["duration_s"] == 4.0
    for clip in others:
        assert (clip["duration_s"], clip["embedding"]) == (4.0, first["embedding"])
    assert mp3["duration_s"] >= 4.0
    assert np.dot(mp3["embedding"], first["embedding"]) > 0.9


def test_channels_that_cancel_are_heard_by_run_and_live(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.wav").write_bytes(encoded(SPEECH, "WAV"))
    (tmp_path / "both.wav").write_bytes(encoded(np.stack([SPEECH, -SPEECH], 1), "WAV"))
    assert run("run", tmp_path / "one.wav", tmp_path / "both.wav", "--out", tmp_path / "out", "--json") == 0
    one, both = json.loads(capfd.readouterr().out)["clips"]
    assert np.dot(one["embedding"], both["embedding"]) > 0.95
    assert run("live", "--source", tmp_path / "both.wav", "--show", "none", "--json") == 0
    assert json.loads(capfd.readouterr().out)["last"]["voiced_s"] > 2


def test_a_dead_microphone_with_an_offset_is_silence_in_run_and_live(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dead = 3276 + np.random.default_rng(1).normal(0, 3, 4 * RATE)
    (tmp_path / "dead.wav").write_bytes(encoded(np.rint(dead).astype(np.int16), "WAV"))
    for words in (
        ["run", tmp_path / "dead.wav", "--out", tmp_path / "out"],
        ["live", "--source", tmp_path / "dead.wav", "--show", "none"],
    ):
        assert run(*words) == 4
        said = capfd.readouterr().err
        assert "silence" in said
        assert "noise" not in said
