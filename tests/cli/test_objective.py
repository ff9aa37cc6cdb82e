"""`voxface calibrate --objective`: on real engines, killed in the middle and gone on with, and what wrong options get."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.small_bundle import small_bundle
from voxface.runtime.bundle.bundle import Bundle

LOOSE = ("--min-cosine", "0.9", "--min-psnr", "15", "--max-mm", "5")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A small bundle, and a folder of two sound files."""
    small_bundle(tmp_path / "small")
    (tmp_path / "audio").mkdir()
    for k, clip in enumerate(SAMPLES[:2]):
        (tmp_path / "audio" / f"{k}.flac").write_bytes(clip.read_bytes())
    return tmp_path


def words(room: Path, *more: str) -> list[str]:
    return [
        "calibrate", str(room / "small"), "--audio", str(room / "audio"), "--objective", "pareto", "--quick",
        "--threads", "1", "--out", str(room / "out.voxface"), *LOOSE, *more,
    ]  # fmt: skip


KILLED = """
import os, signal, sys
from voxface.calibration import calibration_state
write, left = calibration_state.write_bytes, [int(sys.argv[1])]
def dying(path, data):
    write(path, data)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
calibration_state.write_bytes = dying
from voxface.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_in_the_middle_and_gone_on_with(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = room / "out.voxface.calibration-state"
    done = subprocess.run([sys.executable, "-c", KILLED, "9", *words(room)], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert not (room / "out.voxface").exists()
    before = json.loads(state.read_text())["results"]
    assert len(before) == 9
    assert run(*words(room, "--json")) == 0
    said = capsys.readouterr()
    assert "going on with 9 measurements" in said.err
    document = json.loads(said.out)
    front = document["front"]
    assert front["objective"] == "pareto"
    (chosen,) = [c for c in front["candidates"] if c["chosen"]]
    assert chosen["on_the_front"]
    assert chosen["held_out"]["vertex_max_mm"] <= 5
    assert document["bundle"]["precision"]["calibrated"]["time"]["threads"] == 1
    alone = {f"{e['graph']}/{e['layer']}": e["alone"] for e in front["layers"]}
    for name, result in before.items():
        if name.startswith("error alone"):
            layer, _, form = name.rpartition(": ")[2].partition("=")
            assert alone[layer][form] == result, "measured once"
    assert not state.exists()
    assert sorted(p.name for p in room.iterdir()) == ["audio", "out.voxface", "small"]
    assert Bundle.open(room / "out.voxface").manifest.precision.calibrated.objective == "pareto"
    assert run(*words(room, "--force")) == 0
    printed = capsys.readouterr().out
    assert "* is in the bundle; it was measured with --threads 1" in printed


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--precision", "int8", "--quick"), 2, "--quick: only --objective measures time"),
        (("--precision", "int8", "--max-ms", "3"), 2, "--max-ms: only --objective measures time"),
        (("--objective", "pareto", "--precision", "int8"), 2, "not allowed with"),
        ((), 2, "one of the arguments --precision --objective is required"),
        (("--objective", "error", "--max-ms", "0"), 2, "--max-ms 0"),
        (("--objective", "latency", "--threads", "0"), 2, "--threads 0"),
        (("--objective", "latency", "--provider", "abacus", "--quick"), 2, "no provider 'abacus'"),
        (("--objective", "latency", "--provider", "cuda", "--quick"), 5, "cuda"),
    ],
)
def test_what_is_wrong_is_said(
    room: Path, more: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("calibrate", room / "small", "--audio", room / "audio", "--out", room / "out.voxface")
    assert run(*asked, *more) == code
    assert message in capsys.readouterr().err
    assert not (room / "out.voxface").exists()


def test_a_state_of_something_else_is_refused(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (room / "state").write_text("my thesis")
    assert run(*words(room, "--state", str(room / "state"))) == 2
    assert "is no state of a calibration" in capsys.readouterr().err
    assert (room / "state").read_text() == "my thesis"
