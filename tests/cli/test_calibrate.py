"""`voxface calibrate`: one bundle out, and what it says of inputs that are wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.small_bundle import small_bundle
from voxface.runtime.install_advice import how_to_install


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A small bundle, and a folder of four sound files."""
    small_bundle(tmp_path / "small")
    (tmp_path / "audio").mkdir()
    for k, clip in enumerate((*SAMPLES, *SAMPLES)):
        shutil.copy(clip, tmp_path / "audio" / f"{k}.flac")
    return tmp_path


def test_a_bundle_in_fp16(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", room / "small", "--audio", room / "audio", "--precision", "fp16"]
    assert run(*words, "--out", room / "half.voxface", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bundle"]["path"] == str(room / "half.voxface")
    found = document["bundle"]["precision"]["calibrated"]
    assert found["clips"] == {
        "calibration": ["0.flac", "2.flac"],
        "held_out": ["1.flac", "3.flac"],
        "also": ["0.flac repeated", "1.flac repeated"],
    }
    assert found["held_out"]["worst"]["cosine"] >= 0.9999
    assert document["plan"]["counts"] == found["nodes"]
    assert document["graph_bytes"]["calibrated"]["encoder"] < document["graph_bytes"]["source"]["encoder"]
    assert run("bundle", "verify", room / "half.voxface") == 0
    capsys.readouterr()
    assert run(*words, "--out", room / "folder") == 0
    printed = capsys.readouterr().out
    assert "worst of 3 held-out clips" in printed
    assert "precision_plan.md in the bundle" in printed


def test_tolerances_are_options(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["calibrate", room / "small", "--audio", room / "audio", "--precision", "int8", "--json"]
    counts = []
    for number, limits in enumerate((["0.9", "15", "5"], ["0.9999999", "100", "0.0001"])):
        asked = [f"--{name}={value}" for name, value in zip(("min-cosine", "min-psnr", "max-mm"), limits, strict=True)]
        assert run(*words, *asked, "--out", room / f"{number}.voxface") == 0
        document = json.loads(capsys.readouterr().out)
        assert list(document["plan"]["tolerances"].values()) == [float(value) for value in limits]
        counts.append(sum(c.get("int8", 0) for c in document["plan"]["counts"].values()))
    assert counts[0] > 5
    assert counts[1] == 0


def test_what_is_wrong_is_said(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import soundfile

    out = room / "out.voxface"
    (room / "empty").mkdir()
    (room / "silent").mkdir()
    soundfile.write(room / "silent" / "0.wav", np.zeros(32_000), 16_000)
    (room / "unreadable").mkdir()
    (room / "unreadable" / "0.wav").write_bytes(b"RIFF")
    (room / "precious").mkdir()
    (room / "precious" / "thesis.txt").write_text("do not lose")
    small, audio = room / "small", room / "audio"

    def calibrate(bundle: Path, speech: Path, to: Path, *more: str) -> tuple[int, str]:
        code = run("calibrate", bundle, "--audio", speech, "--out", to, "--precision", "fp16", *more)
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return code, said.err

    for bundle, speech, to, more, code, words in (
        (small, room / "nowhere", out, (), 3, "no such file"),
        (small, room / "empty", out, (), 3, "no sound file"),
        (small, room / "unreadable", out, (), 3, "no speech to go by"),
        (small, audio / "0.flac", out, (), 3, "give at least two"),
        (small, room / "silent", out, (), 4, "no speech"),
        (room / "nowhere", audio, out, (), 6, "no such bundle"),
        (room / "precious", audio, out, (), 6, "not a voxface bundle"),
        (small, audio, small, (), 2, "or in it; choose another name"),
        (small, audio, small / "inside", (), 2, "or in it; choose another name"),
        (small, audio, room / "precious", (), 2, "is no bundle"),
        (small, audio, room / "precious" / "thesis.txt", (), 2, "is no bundle"),
        (small, audio, room / "precious" / "thesis.txt" / "b", (), 3, "cannot be written"),
        (small, audio, out, ("--clips", "1"), 2, "at least 2"),
        (small, audio, out, ("--min-cosine", "1.5"), 2, "a cosine of 1.5"),
        (small, audio, out, ("--max-mm", "-1"), 2, "-1.0 mm"),
    ):
        got, said = calibrate(bundle, speech, to, *more)
        assert (got, words in said) == (code, True), (got, said)
    assert not out.exists()
    assert (room / "precious" / "thesis.txt").read_text() == "do not lose"
    assert sorted(path.name for path in room.iterdir()) == [
        "audio", "empty", "precious", "silent", "small", "unreadable",
    ]  # fmt: skip


def test_a_bundle_whose_graph_is_broken(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from voxface.runtime.bundle.bundle import Bundle

    bundle = Bundle.open(room / "small")
    bundle.replacing(files={"face.onnx": b"nonsense"}).write(room / "broken")
    words = ["--audio", room / "audio", "--precision", "int8", "--out", room / "out"]
    assert run("calibrate", room / "broken", *words) == 6
    assert "face" in capsys.readouterr().err
    assert not (room / "out").exists()


def test_bad_files_among_good_ones_are_named_and_left_out(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (room / "audio" / "broken.wav").write_bytes(b"RIFF")
    words = [
        "calibrate",
        room / "small",
        "--audio",
        room / "audio",
        "--precision",
        "fp16",
        "--out",
        room / "o",
        "--json",
    ]
    assert run(*words) == 0
    said = capsys.readouterr()
    assert "left out" in said.err
    assert len(json.loads(said.out)["skipped"]) == 1


def test_help_loads_nothing() -> None:
    code = """
import sys
from voxface.cli import main
try:
    main(["calibrate", "--help"])
except SystemExit as end:
    assert end.code == 0
assert not {"numpy", "onnx", "onnxruntime"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--min-cosine" in done.stdout


def test_without_onnx_it_says_what_to_install(room: Path) -> None:
    code = """
import sys
sys.modules["onnx"] = None
from voxface.cli import main
sys.exit(main(sys.argv[1:]))
"""
    words = ["calibrate", room / "small", "--audio", room / "audio", "--precision", "fp16", "--out", room / "out"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=False, capture_output=True, text=True)
    assert done.returncode == 5
    assert how_to_install("cpu", "calibrate") in done.stderr
