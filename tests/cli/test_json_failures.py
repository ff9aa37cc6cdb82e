"""`--json` and a command that fails: one document all the same, with "errors"; the message on standard error as well."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.sound_files import pcm_format, wav
from voxface.cli.output import print_json

NO_BUNDLE = "no such bundle"
FAILING: list[tuple[list[Any], int, str]] = [
    (["run", SAMPLES[0], "--bundle", "nope"], 6, NO_BUNDLE),
    (["run", SAMPLES[0], "--threads", "0"], 2, "--threads 0"),
    (["run", "--no-such-option", SAMPLES[0]], 2, "unrecognized arguments"),
    (["run"], 2, "required"),
    (["live", "--source", "nowhere.wav"], 3, "no such file"),
    (["live", "--source", SAMPLES[0], "--bundle", "nope"], 6, NO_BUNDLE),
    (["serve", "--bundle", "nope", "--port", "0"], 6, NO_BUNDLE),
    (["serve", "--host", "0.0.0.0"], 2, "others reach it"),
    (["load", "nowhere", "--audio", SAMPLES[0]], 2, "give the server's URL"),
    (["devices", "--seconds", "0"], 2, "--seconds 0"),
    (["profile", "--bundle", "nope"], 6, NO_BUNDLE),
    (["bundle", "info", "nope"], 6, NO_BUNDLE),
    (["bundle", "verify", "nope"], 6, NO_BUNDLE),
    (["bundle", "nonsense"], 2, "invalid choice"),
    (["build", "nope", "--flavour", "tensorrt-rtx", "--out", "f.voxface"], 6, NO_BUNDLE),
    (["compare", "nope", "--against", "nope", "--audio", "."], 6, NO_BUNDLE),
    (["train", "voice-encoder", "--data", "nope", "--out", "g"], 3, "no pairs here"),
    (["data", "synth", "--count", "0", "--out", "h"], 2, "--count 0"),
    (["nonsense"], 2, "invalid choice"),
]


@pytest.mark.parametrize(("words", "code", "message"), FAILING)
def test_one_document(
    words: list[Any],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words, "--json") == code
    captured = capsys.readouterr()
    (error,) = json.loads(captured.out)["errors"]
    assert error["exit_code"] == code
    assert error["file"] is None
    assert message in error["message"]
    assert error["message"] in captured.err
    assert run(*words) == code
    again = capsys.readouterr()
    assert (again.out, again.err) == ("", captured.err)


def test_a_session_that_heard_nothing_of_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(wav(bytes(4000), form=pcm_format(rate=1)))
    assert run("live", "--source", bad, "--show", "none", "--json") == 3
    captured = capsys.readouterr()
    (error,) = json.loads(captured.out)["errors"]
    assert (error["exit_code"], error["message"]) == (3, captured.err.removeprefix("voxface: error: ").rstrip("\n"))
    assert "its header says 1 Hz" in error["message"]


def test_a_document_that_was_printed_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: object) -> int:
        print_json({"done": 1})
        raise KeyboardInterrupt

    monkeypatch.setattr("voxface.cli.doctor.run", interrupted)
    assert run("doctor", "--json") == 130
    assert json.loads(capsys.readouterr().out) == {"done": 1}
    monkeypatch.setattr("voxface.cli.doctor.run", lambda options: (_ for _ in ()).throw(MemoryError("9 GB")))
    assert run("doctor", "--json") == 1
    assert "not enough memory (9 GB)" in json.loads(capsys.readouterr().out)["errors"][0]["message"]


def test_lines_of_json_get_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--json-lines", "--source", "nowhere.wav") == 3
    assert run("live", "--json-lines", "--json", "--source", SAMPLES[0]) == 2
    assert capsys.readouterr().out == ""


def test_a_full_disk_and_a_reader_that_goes_away() -> None:
    failing = f"{sys.executable} -m voxface bundle info nope --json"
    done = subprocess.run(["bash", "-c", f"{failing} > /dev/full"], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "voxface: error: standard output: No space left on device"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{failing} | true"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (6, 141)
    assert "Traceback" not in done.stderr
