"""`voxface live` from outside: files, pipes, recordings, signals, and what it says of bad input."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.command_line import run
from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.silero import RATE, SOUND, STATE, network
from voxface.cli import build_parser
from voxface.cli.live import run as live
from voxface.runtime.bundle.bundle import Bundle

VOXFACE = [sys.executable, "-m", "voxface"]


def summary(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert run("live", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_a_file_ends_where_run_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", SAMPLES[0], "--out", tmp_path / "o", "--json", "--threads", 1) == 0
    offline = json.loads(capsys.readouterr().out)["clips"][0]
    document = summary(capsys, "--source", SAMPLES[0])
    last = document["last"]
    for key in ("embedding", "coefficients", "measurements_mm", "attributes", "confidence", "frames", "voiced_s"):
        assert last[key] == offline[key]
    assert document["ended"] == "end of input"
    assert document["counters"]["estimates"] > 50
    stages = {"vad", "features", "encoder", "face", "mesh", "intake", "gate", "attributes", "watch"}
    assert set(document["latency_ms"]) == {*stages, "total"}
    assert document["provider"] == "cpu"
    assert 1.0 <= document["first_face_s"] < 1.5


def test_json_lines_are_events_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[1], "--json-lines") == 0
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert captured.err == ""
    assert events[0]["event"] == "stream-started"
    assert events[1]["event"] == "voice-started"
    faces = [event for event in events if event["event"] == "face"]
    assert [face["position"] for face in faces] == sorted(face["position"] for face in faces)
    assert all("total" in face["latency_ms"] for face in faces)


def test_mode_incremental_and_its_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = summary(capsys, "--source", SAMPLES[0], "--seconds", 5)
    ours = summary(capsys, "--source", SAMPLES[0], "--seconds", 5, "--mode", "incremental", "--record", tmp_path / "r")
    assert ours["counters"]["estimates"] == exact["counters"]["estimates"]
    assert ours["last"]["frames"] == exact["last"]["frames"]
    assert np.dot(ours["last"]["embedding"], exact["last"]["embedding"]) > 0.99
    assert ours["last"]["embedding"] != exact["last"]["embedding"]
    assert json.loads((tmp_path / "r" / "recording.json").read_text())["config"]["mode"] == "incremental"
    assert summary(capsys, "--replay", tmp_path / "r")["replay"]["identical"] is True


def test_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[0], "--seconds", 3) == 0
    text = capsys.readouterr().out
    assert re.search(r"3\.0\d? s heard, \d+ estimates, ended: time is up", text)
    assert "face female" in text
    assert "latency: p50" in text


def test_a_recording_and_its_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[0], "--seconds", 3, "--record", tmp_path / "a") == 0
    capsys.readouterr()
    document = summary(capsys, "--replay", tmp_path / "a", "--record", tmp_path / "b")
    assert document["replay"]["identical"] is True
    assert (tmp_path / "a" / "vertices.npy").read_bytes() == (tmp_path / "b" / "vertices.npy").read_bytes()
    assert (tmp_path / "a" / "mesh.glb").read_bytes() == (tmp_path / "b" / "mesh.glb").read_bytes()
    text = (tmp_path / "a" / "events.jsonl").read_text().replace('"speaker":1', '"speaker":7')
    (tmp_path / "a" / "events.jsonl").write_text(text)
    assert run("live", "--replay", tmp_path / "a") == 3
    captured = capsys.readouterr()
    assert "events differ from the recorded ones" in captured.err
    assert re.search(r"first event 3, face at 1\.\d\d s: speaker 1, recorded 7$", captured.err, re.M)
    assert "identical" not in captured.out


def test_a_recording_of_a_replay_has_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silero = network(tmp_path / "silero.onnx", SOUND, [STATE], [RATE])
    words = ["--source", SAMPLES[0], "--seconds", 2, "--vad", "silero", "--window", 5, "--record", tmp_path / "a"]
    assert run("live", *words, "--vad-model", silero) == 0
    assert run("live", "--replay", tmp_path / "a", "--vad-model", silero, "--record", tmp_path / "b") == 0
    first, second = (json.loads((tmp_path / name / "recording.json").read_text()) for name in "ab")
    assert second == {**first, "source": str(tmp_path / "a")}
    assert run("live", "--replay", tmp_path / "b", "--vad-model", silero) == 0
    assert "identical" in capsys.readouterr().out


def test_a_replay_says_that_it_is_identical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[0], "--seconds", 2, "--record", tmp_path / "a") == 0
    count = len((tmp_path / "a" / "events.jsonl").read_text().splitlines())
    capsys.readouterr()
    assert run("live", "--replay", tmp_path / "a") == 0
    captured = capsys.readouterr()
    said = f"replay: identical to the recording, all {count} events with their pictures and meshes\n"
    assert said in captured.out
    assert captured.err == ""
    # A kill leaves half a line, and no end.
    about = json.loads((tmp_path / "a" / "recording.json").read_text())
    (tmp_path / "a" / "recording.json").write_text(json.dumps({**about, "complete": False}))
    text = (tmp_path / "a" / "events.jsonl").read_text()
    (tmp_path / "a" / "events.jsonl").write_text(text[:-30])
    assert run("live", "--replay", tmp_path / "a") == 0
    out = capsys.readouterr().out
    assert f"identical to the recording, all {count - 1} events" in out
    assert "nothing after its last event was compared" in out
    document = summary(capsys, "--replay", tmp_path / "a")
    assert document["replay"] == {"identical": True, "events": count - 1, "differences": 0, "complete": False}


def test_another_bundle_is_named_as_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[0], "--seconds", 2, "--record", tmp_path / "a") == 0
    other = Bundle.open().replacing(name="another").write(tmp_path / "another.voxface")
    capsys.readouterr()
    # Another name is no other network: nothing differs, and nothing is said.
    assert run("live", "--replay", tmp_path / "a", "--bundle", other.path) == 0
    small = ROOT / "tests" / "stored" / "small.voxface"
    assert run("live", "--replay", tmp_path / "a", "--bundle", small) == 3
    error = capsys.readouterr().err
    assert "recorded with another bundle, 'voxface-default'; give that with --bundle" in error
    assert "face at 1.14 s: its picture, its mesh, embedding" in error


def test_a_sink_that_fails_tells_why_at_once(tmp_path: Path) -> None:
    """The disk is full after some kilobytes; with VOXFACE_LOG=debug there is the place in the code as well."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "from voxface.cli import main; raise SystemExit(main())"
    )
    for level, traces in (("", 0), ("debug", 1), ("error", 0)):
        command = [sys.executable, "-c", code, "live", "--source", SAMPLES[0], "--record", tmp_path / f"r{level}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "VOXFACE_LOG": level}
        )
        assert done.returncode == 3
        lines = done.stderr.splitlines()
        warned = [line for line in lines if line.startswith("voxface: warning: the sink recorder ended")]
        assert len(warned) == (level != "error")
        assert all("File too large" in line for line in warned)
        assert lines[-1].startswith("voxface: error: recorder: ")
        assert done.stderr.count("Traceback") == traces
        assert level == "debug" or len(lines) == len(warned) + 1


def test_a_replay_that_cannot_be_compared_is_not_identical(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--source", SAMPLES[0], "--seconds", 2, "--record", tmp_path / "a") == 0
    capsys.readouterr()
    for damage in (
        lambda file: file.unlink(),
        lambda file: file.write_text("5\n"),
        lambda file: file.write_bytes(b"\xff"),
    ):
        damage(tmp_path / "a" / "events.jsonl")
        assert run("live", "--replay", tmp_path / "a", "--json") == 3
        captured = capsys.readouterr()
        assert json.loads(captured.out)["replay"]["identical"] is False
        assert "events.jsonl: damaged" in captured.err
        (tmp_path / "a" / "events.jsonl").touch()


def test_one_channel_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, _ = soundfile.read(SAMPLES[0], dtype="int16")
    right, _ = soundfile.read(SAMPLES[1], dtype="int16")
    soundfile.write(tmp_path / "both.wav", np.stack([left, right], 1), 16_000)
    for channel, sample in enumerate(SAMPLES, 1):
        of_both = summary(capsys, "--source", tmp_path / "both.wav", "--channel", channel, "--seconds", 3)
        alone = summary(capsys, "--source", sample, "--seconds", 3)
        assert of_both["last"]["embedding"] == alone["last"]["embedding"]
    assert run("live", "--source", tmp_path / "both.wav", "--channel", 3) == 2
    assert "channel 3: both.wav has 2" in capsys.readouterr().err


def test_a_recording_of_nothing_leaves_its_place_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(48_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    assert run("live", "--source", tmp_path / "nan.wav", "--record", tmp_path / "a") == 3
    assert not (tmp_path / "a").exists()
    assert run("live", "--source", SAMPLES[0], "--seconds", 2, "--record", tmp_path / "a") == 0


def test_a_pipe_that_says_nothing_is_left_when_the_time_is_up() -> None:
    silent, writer = os.pipe()
    try:
        command = [*VOXFACE, "live", "--source", "-", "--seconds", "0.5", "--json"]
        done = subprocess.run(command, stdin=silent, capture_output=True, timeout=60, check=False)
    finally:
        os.close(silent)
        os.close(writer)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ended"] == "time is up"


def test_standard_input_that_is_closed() -> None:
    command = f"{' '.join(VOXFACE)} live --source - <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "standard input is closed" in done.stderr


def pcm(samples: np.ndarray, *words: str) -> tuple[int, str, str]:
    command = [*VOXFACE, "live", "--source", "-", *words]
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_raw_pcm_on_standard_input() -> None:
    samples, _ = soundfile.read(SAMPLES[0], dtype="int16")
    code, out, error = pcm(samples[:40_000], "--json")
    assert code == 0, error
    plain = json.loads(out)
    assert plain["duration_s"] == 2.5
    stereo = np.repeat((samples[:40_000] / 32768).astype("<f4")[:, None], 2, 1)
    code, out, error = pcm(stereo, "--json", "--pcm-format", "f32le", "--pcm-channels", "2", "--channel", "2")
    assert code == 0, error
    assert json.loads(out)["last"]["embedding"] == plain["last"]["embedding"]
    code, out, error = pcm(samples[:40_001].astype("<i2"), "--pcm-channels", "2")
    assert code == 3
    assert "ends within a frame" in error


BAD: list[tuple[list[Any], int, str]] = [
    (["--source", "/nowhere.wav"], 3, "no such file"),
    (["--source", SAMPLES[0], "--json", "--json-lines"], 2, "choose one"),
    (["--source", SAMPLES[0], "--device", "1"], 2, "exclude"),
    (["--source", SAMPLES[0], "--replay", "/nowhere"], 2, "leave --source"),
    (["--replay", "/nowhere"], 3, "no recording"),
    (["--replay", "/nowhere", "--seconds", "1"], 2, "leave --seconds out"),
    (["--replay", "/nowhere", "--window", "8"], 2, "leave --window out"),
    (["--replay", "/nowhere", "--hop-ms", "100"], 2, "leave --hop-ms out"),
    (["--replay", "/nowhere", "--mode", "exact"], 2, "leave --mode out"),
    (["--replay", "/nowhere", "--still", "0"], 2, "leave --still out"),
    (["--replay", "/nowhere", "--one-speaker"], 2, "leave --one-speaker out"),
    (["--replay", "/nowhere", "--vad", "silero"], 2, "leave --vad out"),
    (["--source", SAMPLES[0], "--vad-model", "/nowhere"], 2, "give --vad silero as well"),
    (["--source", SAMPLES[0], "--rate", "48000"], 2, "a file has its own"),
    (["--source", SAMPLES[0], "--pcm-rate", "48000"], 2, "give --source -"),
    (["--replay", "/nowhere", "--pcm-format", "s16le"], 2, "give --source -"),
    (["--source", "-", "--pcm-channels", "1000000000"], 2, "1 to 256"),
    (["--source", SAMPLES[0], "--window", "0.1"], 2, "1 to 60 seconds"),
    (["--source", SAMPLES[0], "--window", "nan"], 2, "--window"),
    (["--source", SAMPLES[0], "--hop-ms", "5"], 2, "20 to 1000"),
    (["--source", SAMPLES[0], "--threads", "0"], 2, "at least 1"),
    (["--source", SAMPLES[0], "--channel", "0"], 2, "counted from 1"),
    (["--source", SAMPLES[0], "--channel", "2"], 2, "has 1"),
    (["--source", SAMPLES[0], "--seconds", "-1"], 2, "more than 0"),
    (["--source", SAMPLES[0], "--mode", "magic"], 2, "invalid choice"),
    (["--source", SAMPLES[0], "--show", "none", "--show", "terminal"], 2, "excludes"),
    (["--source", SAMPLES[0], "--bundle", "/nowhere"], 6, "no such bundle"),
    (["--source", SAMPLES[0], "--provider", "tensorrt"], 5, "tensorrt"),
    (["--source", SAMPLES[0], "--record", Path(__file__).parent], 2, "exists already"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD)
def test_what_cannot_be(words: list[Any], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", *words) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_silence_is_exit_code_4_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(48_000), 16_000)
    assert run("live", "--source", tmp_path / "zeros.wav", "--json") == 4
    captured = capsys.readouterr()
    assert "no face in 3.00 s (all-zero microphone)" in captured.err
    assert json.loads(captured.out)["last"] is None


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--device", "a microphone nobody has", "--show", "none") == 5
    assert run("devices", "--seconds", "0") == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after_s", [0.0, 0.4, 2.5])
def test_signals_end_it_cleanly(number: int, after_s: float, tmp_path: Path) -> None:
    command = [*VOXFACE, "live", "--source", SAMPLES[0], "--realtime", "--json", "--record", tmp_path / "r"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(400):
        if (tmp_path / "r" / "recording.json").exists():
            break
        time.sleep(0.02)
    time.sleep(after_s)
    process.send_signal(number)
    out, error = process.communicate(timeout=20)
    assert process.returncode == (128 + number if number == signal.SIGHUP else 0), error
    document = json.loads(out)
    assert document["ended"] == signal.Signals(number).name
    assert json.loads((tmp_path / "r" / "recording.json").read_text())["complete"] is True
    heard = sum(soundfile.info(path).frames for path in (tmp_path / "r" / "audio").iterdir())
    assert heard == document["samples"]["end"]
    assert document["counters"]["lost"] == {}


def test_a_signal_ends_a_silent_pipe() -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen([*VOXFACE, "live", "--source", "-", "--json"], stdin=reader, stdout=subprocess.PIPE)
    time.sleep(2.5)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    os.close(writer)
    os.close(reader)
    assert process.returncode == 0
    assert json.loads(out)["ended"] == "SIGTERM"


def test_a_reader_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    options = build_parser("live").parse_args(["live", "--source", str(SAMPLES[0]), "--json-lines"])
    with pytest.raises(BrokenPipeError):
        live(options)


def test_help_loads_nothing() -> None:
    code = "import sys; sys.argv=['voxface','live','--help']\nfrom voxface.cli import main\n" + (
        "try:\n main()\nexcept SystemExit:\n pass\nassert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
