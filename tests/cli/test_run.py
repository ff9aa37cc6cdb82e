"""`voxface run` from outside: what it writes, and what it says of every kind of bad input."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.live_session import voice
from voxface.runtime.audio.decode import read_blocks

SPEECH = (voice()[:64_000] / 32768).astype(np.float32)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_voice_becomes_a_face_and_a_mesh(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", *SAMPLES, "--out", out, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert document["provider"] == "cpu"
    assert document["errors"] == []
    assert [Path(clip["file"]) for clip in document["clips"]] == list(SAMPLES)
    for clip in document["clips"]:
        assert clip["duration_s"] == 8.0
        assert 4 < clip["voiced_s"] <= 8
        assert sum(end - start for start, end in clip["segments"]) == pytest.approx(clip["voiced_s"])
        assert np.linalg.norm(clip["embedding"]) == pytest.approx(1, abs=1e-5)
        assert sum(clip["attributes"]["sex"].values()) == pytest.approx(1)
        assert clip["attributes"]["face_type"] in ("wide", "regular", "slim", "skinny")
        assert 0 < clip["confidence"] <= 1
        assert set(clip["timings_ms"]) == {"vad", "features", "encoder", "face", "mesh", "attributes", "total"}
        assert 100 < clip["measurements_mm"]["face_width"] < 170
        folder = Path(clip["face"]).parent
        assert sorted(p.name for p in folder.iterdir()) == ["face.png", "mesh.glb", "mesh.obj", "mesh.ply", "mesh.png"]
    assert json.loads((out / "report.json").read_text()) == document
    page = (out / "report.html").read_text()
    assert page.count("<article>") == 2
    assert "sample_male/mesh.glb" in page
    female, male = document["clips"]
    assert female["attributes"]["sex"]["female"] > 0.5 > male["attributes"]["sex"]["female"]
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_the_same_voice_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run("run", SAMPLES[0], "--out", tmp_path / name, "--threads", 1) == 0
    for file in (tmp_path / "a" / "sample_female").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "sample_female" / file.name).read_bytes()


def test_without_json_it_says_where_the_report_is(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", SAMPLES[0], "--out", out) == 0
    text = capsys.readouterr().out
    assert "s of speech" in text
    assert f"report: {out / 'report.html'}" in text


FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("wav16.wav", {"subtype": "PCM_16"}),
    ("wav24.wav", {"subtype": "PCM_24"}),
    ("wav_float.wav", {"subtype": "FLOAT"}),
    ("wav8.wav", {"subtype": "PCM_U8"}),
    ("flac.flac", {}),
    ("ogg.ogg", {}),
    ("mp3.mp3", {}),
]


@pytest.mark.parametrize(("name", "how"), FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 1), (44_100, 2)])
def test_formats_rates_and_channels(
    tmp_path: Path, out: Path, name: str, how: dict[str, Any], rate: int, channels: int
) -> None:
    import soxr

    sound = soxr.resample(SPEECH, 16_000, rate)
    soundfile.write(tmp_path / name, np.repeat(sound[:, None], channels, 1), rate, **how)
    assert run("run", tmp_path / name, "--out", out) == 0


def test_96_khz_stereo_is_the_voice_it_was_made_from(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import soxr

    sound, _ = soundfile.read(SAMPLES[1], dtype="float32")
    soundfile.write(
        tmp_path / "high.wav", np.repeat(soxr.resample(sound, 16_000, 96_000)[:, None], 2, 1), 96_000, "PCM_24"
    )
    assert run("run", tmp_path / "high.wav", SAMPLES[1], "--out", out, "--json") == 0
    high, plain = json.loads(capsys.readouterr().out)["clips"]
    assert np.dot(high["embedding"], plain["embedding"]) > 0.98
    assert high["duration_s"] == pytest.approx(plain["duration_s"], abs=0.001)


def text_named_wav(path: Path) -> None:
    path.write_text("this is not sound\n" * 100)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def no_samples(path: Path) -> None:
    soundfile.write(path, np.empty(0, np.float32), 16_000)


def truncated_flac(path: Path) -> None:
    soundfile.write(path, SPEECH, 16_000, format="FLAC")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_header(path: Path) -> None:
    soundfile.write(path, SPEECH, 16_000)
    path.write_bytes(path.read_bytes()[:30])


def with_value(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        sound = SPEECH.copy()
        sound[20_000] = value
        soundfile.write(path, sound, 16_000, "FLOAT")

    return write


def constant(samples: NDArray[np.float32]) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, 16_000)


NOISE = np.random.default_rng(3).normal(0, 0.1, 80_000).astype(np.float32)
BAD: list[tuple[str, Callable[[Path], None], int, str]] = [
    ("text.wav", text_named_wav, 3, "not a sound file"),
    ("empty.wav", nothing, 3, "empty"),
    ("none.wav", no_samples, 3, "no samples"),
    ("cut.flac", truncated_flac, 3, "cut short|damaged"),
    ("header.wav", truncated_header, 3, "not a sound file|damaged|no samples"),
    ("nan.wav", with_value(np.nan), 3, "NaN or infinity at 1.250 s"),
    ("inf.wav", with_value(np.inf), 3, "NaN or infinity at 1.250 s"),
    ("zeros.wav", constant(np.zeros(48_000, np.float32)), 4, "no speech"),
    ("white.wav", constant(NOISE), 4, "no speech"),
    ("quiet.wav", constant(NOISE * 0.001), 4, "no speech"),
    ("blip.wav", constant(SPEECH[:100]), 4, "no speech"),
]


@pytest.mark.parametrize(("name", "make", "code", "message"), BAD)
def test_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, make: Callable[[Path], None], code: int, message: str
) -> None:
    make(tmp_path / name)
    assert run("run", tmp_path / name, "--out", tmp_path / "out") == code
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, "one line says it all"
    assert lines[0].startswith(f"voxface: error: {tmp_path / name}")
    import re

    assert re.search(message, lines[0])
    assert not (tmp_path / "out").exists()


def test_missing_file_and_folder_without_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", tmp_path / "nowhere.wav", "--out", tmp_path / "out") == 3
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no sound")
    assert run("run", tmp_path / "folder", "--out", tmp_path / "out") == 3
    assert "no sound file in this folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_bad_files_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "voices"
    (folder / "deeper").mkdir(parents=True)
    soundfile.write(folder / "b.wav", SPEECH, 16_000)
    soundfile.write(folder / "deeper" / "b.flac", SPEECH, 16_000)
    soundfile.write(folder / "c.wav", np.zeros(48_000, np.float32), 16_000)
    text_named_wav(folder / "a.wav")
    assert run("run", folder, "--out", tmp_path / "out", "--json") == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [Path(clip["face"]).parent.name for clip in document["clips"]] == ["b", "b-2"]
    assert [(Path(e["file"]).name, e["exit_code"]) for e in document["errors"]] == [("a.wav", 3), ("c.wav", 4)]
    assert all(error["message"] in captured.err for error in document["errors"])
    assert "Could not be used" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", SAMPLES[0], "--no-such-option"], 2, "unrecognized"),
        (["run"], 2, "required"),
        (["nonsense"], 2, "invalid choice"),
        (["run", SAMPLES[0], "--threads", "0"], 2, "at least 1"),
        (["run", SAMPLES[0], "--provider", "abacus"], 2, "no provider 'abacus'"),
        (["run", SAMPLES[0], "--provider", "tensorrt"], 5, r"pip install .*\[gpu\]"),
        (["run", SAMPLES[0], "--provider", "cuda"], 5, r"pip install .*\[gpu\]"),
        (["run", SAMPLES[0], "--bundle", "/nowhere"], 6, "no such bundle"),
        (["bundle"], 2, "required"),
        (["bundle", "verify", "/nowhere"], 6, "no such bundle"),
    ],
)
def test_usage_provider_and_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[Any], code: int, message: str
) -> None:
    import re

    extra = ["--out", tmp_path / "out"] if words[0] == "run" else []
    assert run(*words, *extra) == code
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_out_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("here first")
    assert run("run", SAMPLES[0], "--out", tmp_path / "file") == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "here first"


def test_a_full_disk_leaves_nothing_half_written(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Path.write_bytes

    def fail(self: Path, data: bytes) -> int:
        if self.suffix == ".obj":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    assert run("run", SAMPLES[0], "--out", out) == 3
    assert "No space left" in capsys.readouterr().err
    assert [p for p in out.rglob("*") if p.is_file()] == []


def test_commands_of_a_real_process(tmp_path: Path) -> None:
    """The installed entry point: exit codes reach the shell, output survives a closed pipe."""
    command = [sys.executable, "-m", "voxface"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("voxface ")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
    missing = subprocess.run(
        [*command, "run", "x.wav", "--out", tmp_path / "o"], capture_output=True, text=True, check=False
    )
    assert (missing.returncode, missing.stderr) == (3, "voxface: error: x.wav: no such file\n")
    reading, writing = os.pipe()
    os.close(reading)
    closed = subprocess.run([*command, "doctor"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert "Traceback" not in closed.stderr


@pytest.mark.slow
def test_half_an_hour(tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A long clip: done, exact, and in memory that does not grow with the embedding network's layers."""
    sound, _ = soundfile.read(SAMPLES[0], dtype="int16")
    soundfile.write(tmp_path / "long.flac", np.tile(sound, 225), 16_000)
    assert run("run", tmp_path / "long.flac", SAMPLES[0], "--out", out, "--json") == 0
    long, short = json.loads(capsys.readouterr().out)["clips"]
    assert long["duration_s"] == 1800
    assert long["frames"] > 100_000
    # Not the same: the short clip is tiled to the network's shortest input, so that its beginning counts twice.
    assert np.dot(long["embedding"], short["embedding"]) > 0.9


# -- names, pipes, signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["...wav", "..wav", "report.json.wav", "report.html.wav", "a#b?c%41.wav", "new\nline.wav"]
)
def test_whatever_a_file_is_called_its_results_stay_below_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / "out"
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / name, SPEECH, 16_000, format="WAV")
    out.parent.mkdir()
    (out.parent / "face.png").write_bytes(b"precious")
    assert run("run", tmp_path / "in", "--out", out, "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert Path(clip["face"]).resolve().parent.parent == out
    assert (out.parent / "face.png").read_bytes() == b"precious"
    assert sorted(path.name for path in out.parent.iterdir()) == ["face.png", "out"]
    links = re.findall('(?:src|href)="([^"]*)"', (out / "report.html").read_text())
    beside = [link for link in links if not link.startswith("data:")]
    assert len(beside) == 3
    assert all((out / unquote(link)).is_file() for link in beside)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/bad\xff.wav"
    good = tmp_path / "good.wav"
    soundfile.write(good, SPEECH, 16_000)
    os.rename(os.fsencode(good), odd)
    words = [sys.executable, "-m", "voxface", "run", odd, "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(words, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["clips"]) == 1
    assert "bad\\udcff" in (tmp_path / "out" / "report.html").read_text()


def test_a_message_is_one_line_and_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", tmp_path / "two\nlines\x1b[31m.wav", "--out", tmp_path / "out") == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "two\\nlines\\x1b[31m.wav: no such file" in err


def test_one_bad_path_among_good_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.raw").write_bytes(b"\0" * 1000)
    os.mkfifo(tmp_path / "pipe.wav")
    soundfile.write(tmp_path / "._good.wav", SPEECH, 16_000)
    bad = [tmp_path / ("a" * 300 + ".wav"), tmp_path / "x.raw", tmp_path / "pipe.wav"]
    assert run("run", SAMPLES[0], *bad, "--out", tmp_path / "out", "--json") == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert len(document["clips"]) == 1
    said = [error["message"] for error in document["errors"]]
    assert ["File name too long" in said[0], "without a header" in said[1], "a pipe or a device" in said[2]] == [
        True
    ] * 3
    assert run("run", tmp_path, "--out", tmp_path / "other") == 3  # a Mac's other half of a file is no sound
    assert "no sound file in this folder" in capsys.readouterr().err


def test_sound_that_does_not_hold_what_it_announces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "whole.wav", SPEECH, 16_000)
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    assert run("run", tmp_path / "cut.wav", "--out", tmp_path / "out") == 3
    assert re.search(r"cut\.wav: cut short, 2\.00 s of the 4\.00 s it announces", capsys.readouterr().err)
    # Whoever writes to a pipe does not know the length: arecord announces 2^31 bytes, ffmpeg 2^32 - 1.
    for announced in (2**31, 2**32 - 1):
        at = whole.index(b"data") + 4
        (tmp_path / "piped.wav").write_bytes(whole[:at] + struct.pack("<I", announced) + whole[at + 4 :])
        assert run("run", tmp_path / "piped.wav", "--out", tmp_path / "out", "--force") == 0


def test_a_flac_of_unknown_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", SPEECH, 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    assert data[:4] == b"fLaC"
    data[8 + 13] &= 0xF0  # the 36 bits of STREAMINFO that count samples; 0: not known
    data[8 + 14 : 8 + 18] = bytes(4)
    (tmp_path / "b.flac").write_bytes(data)
    whole, unknown = (np.concatenate(list(read_blocks(tmp_path / name))) for name in ("a.flac", "b.flac"))
    assert len(whole) == 64_000
    np.testing.assert_array_equal(unknown, whole)


def test_a_report_that_cannot_be_written_costs_no_clip(
    out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("voxface.runtime.inference.run_report.write_bytes", full)
    assert run("run", SAMPLES[0], "--out", out, "--json") == 3
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["clips"]) == 1
    assert re.search(r"report\.json: cannot be written \(No space left on device\)", captured.err)


def test_a_report_is_of_the_last_run(tmp_path: Path, out: Path) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(48_000), 16_000)
    assert run("run", SAMPLES[0], "--out", out) == 0
    assert run("run", tmp_path / "zeros.wav", "--out", out, "--force") == 4
    document = json.loads((out / "report.json").read_text())
    assert (len(document["clips"]), len(document["errors"])) == (0, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_batch_after_the_clip_in_hand(number: signal.Signals, tmp_path: Path) -> None:
    code = "import sys\nfrom voxface.cli import main\nfrom voxface.cli.output import Progress\n" + (
        "Progress.step = lambda self, label='': print(label, file=sys.stderr, flush=True)\nraise SystemExit(main())"
    )
    words = [sys.executable, "-c", code, "run", *map(str, SAMPLES * 100), "--out", str(tmp_path / "out"), "--json"]
    going = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert going.stderr is not None
    assert going.stderr.readline() == "sample_female.flac\n"
    going.send_signal(number)
    written, said = going.communicate(timeout=60)
    assert going.returncode == 128 + number
    document = json.loads(written)
    assert 1 <= len(document["clips"]) < 100
    assert f"ended by {number.name} after {len(document['clips'])} of 200 files" in said
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == document
    assert not list((tmp_path / "out").glob(".*"))
