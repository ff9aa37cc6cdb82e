"""`voxface profile` from outside: the document, the table, the trace, and comparing with a saved profile."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.good_profile import GOOD
from tests.trace_rules import read_trace, stages_of
from voxface.runtime.errors import NoSpeechError

QUICK = ("--seconds", "0.5", "--window", "1", "--updates-per-second", "20")


def profile(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert run("profile", *QUICK, *words, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)  # type: ignore[no-any-return]


def test_a_file_as_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = profile(capsys, "--source", SAMPLES[0], "--trace", tmp_path / "t.json", "--save", tmp_path / "p.json")
    assert document["settings"]["source"] == SAMPLES[0].name
    assert document["settings"]["updates_per_second"] == 20
    assert 0 < document["updates"] <= 10
    assert document["updates"] + document["quiet_blocks"] == 10
    assert set(document["response_ms"]) == {"p50", "p90", "p99", "p99.9", "max"}
    assert isinstance(document["diagnosis"], dict)
    assert json.loads((tmp_path / "p.json").read_text()).items() <= document.items()
    trace = read_trace(tmp_path / "t.json")
    assert len(stages_of(trace, "update")) >= document["updates"]
    assert trace["otherData"]["dropped_spans"] == 0
    (main,) = [event for event in trace["traceEvents"] if event["name"] == "thread_name"]
    assert main["args"]["name"] == "MainThread"


def test_nothing_at_hand_and_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("profile", *QUICK) == 0
    text = capsys.readouterr().out
    assert re.search(r"voxface-default on cpu, 1 thread, mode exact, window 1 s; synthetic voice", text)
    assert re.search(r"^10 updates in \d+\.\d s, 20 a second asked for$", text, re.M)
    assert re.search(r"^response( +\d+\.\d\d){5}$", text, re.M)
    assert re.search(r"^    engine( +\d+\.\d\d){5}$", text, re.M)
    assert re.search(r"^cold start +import \d+, bundle \d+", text, re.M)
    assert re.search(r"^\* ", text, re.M)
    assert max(len(line) for line in text.splitlines() if not line.startswith(("*", "voxface", "allocations"))) <= 120


def test_beside_a_saved_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "p.json"
    more = ("--seconds", "2")
    profile(capsys, "--save", saved, *more)
    document = profile(capsys, "--against", saved, "--threshold", "1e6", *more)
    assert document["comparison"]["worse"] == 0
    assert {row["what"] for row in document["comparison"]["rows"]} >= {"response", "service", "encoder"}
    fast = json.loads(saved.read_text())
    fast["response_ms"]["p50"] /= 1000
    saved.write_text(json.dumps(fast))
    assert run("profile", *QUICK, *more, "--against", saved, "--threshold", "100") == 3
    captured = capsys.readouterr()
    assert re.search(r"^response +p50 .* worse$", captured.out, re.M)
    assert captured.out.count("worse") == 1
    assert re.search(r"more than 100 times as long as in .*p\.json: response p50 0\.\d+ -> \S+ ms$", captured.err, re.M)


def test_what_is_not_the_same_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    GOOD.save(tmp_path / "p.json")
    assert run("profile", "--seconds", 3600, "--updates-per-second", "5", "--against", tmp_path / "p.json") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "updates a second 10.0 there, 5.0 here" in captured.err
    assert re.search("bundle a .000000000000. there, voxface-default ", captured.err)


def test_a_calibrated_bundle_against_its_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")
    from tests.stand_ins.small_bundle import small_bundle

    clips = tmp_path / "clips"
    clips.mkdir()
    for number, sample in enumerate([*SAMPLES, *SAMPLES]):
        samples, rate = soundfile.read(sample, dtype="int16")
        soundfile.write(clips / f"{number}.flac", samples[number * rate :], rate)
    small, half = small_bundle(tmp_path / "small"), tmp_path / "half.voxface"
    words = ["calibrate", small.path, "--audio", clips, "--precision", "fp16", "--out", half, "--json"]
    assert run(*words) == 0, capsys.readouterr().err
    capsys.readouterr()
    profile(capsys, "--bundle", small.path, "--save", tmp_path / "fp32.json")
    document = profile(capsys, "--bundle", half, "--against", tmp_path / "fp32.json", "--threshold", "1e6")
    bundle, precision = document["comparison"]["differs"]
    assert bundle.startswith(f"bundle {small.name} ({small.manifest.sha256[:12]}) -> {small.name} (")
    assert precision.startswith("precision float32 weights, float32 arithmetic -> ")
    assert "float16" in precision.partition("->")[2]
    assert run("profile", *QUICK, "--bundle", half, "--against", tmp_path / "fp32.json", "--threshold", "1e6") == 0
    assert re.search(r"^differs: bundle .*, precision float32", capsys.readouterr().out, re.M)
    # Another network of the same name is another network.
    other = small_bundle(tmp_path / "other", "long sum")
    assert run("profile", *QUICK, "--bundle", other.path, "--against", tmp_path / "fp32.json") == 2
    assert "cannot be compared with this profile: bundle " in capsys.readouterr().err


BAD: list[tuple[list[Any], int, str]] = [
    (["--source", "/nowhere.wav"], 3, "no such file"),
    (["--source", SAMPLES[0], "--mic"], 2, "exclude"),
    (["--mic", "a microphone nobody has"], 5, "(?i)microphone"),
    (["--seconds", "0"], 2, "more than 0"),
    (["--seconds", "nan"], 2, "more than 0"),
    (["--updates-per-second", "51"], 2, "1 to 50"),
    (["--updates-per-second", "0.5"], 2, "1 to 50"),
    (["--threads", "0"], 2, "at least 1, at most 256"),
    (["--threads", "100000"], 2, "at least 1, at most 256"),
    (["--threshold", "0.9"], 2, "at least 1"),
    (["--threshold", "nan"], 2, "at least 1"),
    (["--window", "0.5"], 2, "1 to 60 seconds"),
    (["--window", "nan"], 2, "1 to 60 seconds"),
    (["--source", Path(__file__).parent], 3, "a folder; give a sound file"),
    (["--mode", "psychic"], 2, "there are exact"),
    (["--provider", "psychic"], 2, "no provider"),
    (["--provider", "tensorrt"], 5, "tensorrt"),
    (["--bundle", "/nowhere"], 6, "no such bundle"),
    (["--against", "/nowhere.json"], 3, "no saved profile"),
    (["--against", __file__], 3, "not a saved profile"),
    (["--save", Path(__file__).parent], 2, "is a folder"),
    (["--seconds", "80000", "--trace", "/proc/version/t.json"], 3, "--trace /proc/version/t.json: cannot be written"),
    (["--seconds", "80000", "--save", "/proc/t.json"], 3, "--save /proc/t.json: cannot be written .No such file"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD)
def test_what_cannot_be(words: list[Any], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("profile", *words) == code
    captured = capsys.readouterr()
    assert re.search(message, captured.err)
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_silence_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(48_000), 16_000)
    assert run("profile", *QUICK, "--source", tmp_path / "zeros.wav") == 4
    said = "zeros.wav: no face to measure in the 2.5 s heard of it (all samples are zero); give a source with speech"
    assert said in capsys.readouterr().err


def test_what_is_read_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, saved = tmp_path / "a.flac", tmp_path / "p.json"
    sound.write_bytes(SAMPLES[0].read_bytes())
    GOOD.save(saved)
    (tmp_path / "link.json").symlink_to(saved)
    before = sound.read_bytes(), saved.read_bytes()
    for words, what in (
        (["--source", sound, "--save", sound], "--save .*a.flac: is the file of --source"),
        (["--source", sound, "--trace", sound], "--trace .*a.flac: is the file of --source"),
        (["--against", saved, "--save", saved], "--save .*p.json: is the file of --against"),
        (["--against", saved, "--trace", tmp_path / "link.json"], "--trace .*link.json: is the file of --against"),
        (["--trace", tmp_path / "x", "--save", tmp_path / "x"], "--save .*x: is the file of --trace"),
    ):
        assert run("profile", *QUICK, *words) == 2
        assert re.search(what, capsys.readouterr().err)
    assert (sound.read_bytes(), saved.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "link.json", "p.json"]


def test_what_cannot_be_written_after_all_costs_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("voxface.runtime.timing.perfetto_trace.write_bytes", full)
    assert run("profile", *QUICK, "--trace", tmp_path / "t.json", "--save", tmp_path / "p.json", "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["updates"] == 10
    assert captured.err.endswith("t.json: cannot be written (No space left on device)\n")
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_early_and_says_so(number: signal.Signals, tmp_path: Path) -> None:
    words = [*QUICK, "--seconds", "600", "--json", "--trace", tmp_path / "t.json", "--save", tmp_path / "new.json"]
    going = subprocess.Popen(
        [sys.executable, "-u", "-c", WATCHED, "profile", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert going.stderr is not None
    for _ in range(3):
        assert going.stderr.readline() == "update\n"
    going.send_signal(number)
    out, err = going.communicate(timeout=60)
    assert going.returncode == 128 + number
    document = json.loads(out)
    assert document["ended"] == number.name
    assert document["updates"] >= 3
    assert document["seconds"] < document["seconds_asked"] == 600
    assert re.search(rf"ended by {number.name} after \d+\.\d of 600 s; --save left out$", err, re.M)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_anything_was_measured(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        raise NoSpeechError("no update was made")

    monkeypatch.setattr("voxface.runtime.profile.measure.Profiler.paced", ended)
    assert run("profile", *QUICK) == 128 + number
    assert capsys.readouterr().err == "voxface: interrupted\n"


# The command, and a line on standard error for every update.
WATCHED = """
import sys
from voxface.cli import main
from voxface.cli.output import Progress
Progress.step = lambda *_: print("update", file=sys.stderr)
raise SystemExit(main())
"""


def test_help_loads_nothing() -> None:
    code = "import sys; sys.argv=['voxface','profile','--help']\nfrom voxface.cli import main\n" + (
        "try:\n main()\nexcept SystemExit:\n pass\nassert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
