"""`voxface build`: what it writes and where, what it refuses, and that one that fails or is ended changes no bundle."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import DEFAULT, Bundle

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from voxface.export.tensorrt_build import build_bundle  # noqa: E402

pytestmark = pytest.mark.train


def contents(path: Path) -> dict[str, bytes]:
    """Every file under a folder, and of the folder it is in, so that leftovers show."""
    return {str(p.relative_to(path.parent)): p.read_bytes() for p in path.parent.rglob("*") if p.is_file()}


def test_a_damaged_plan_makes_the_bundle_invalid(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", "sm86") == 0
    plan = next((copy / "engines").iterdir())
    data = bytearray(plan.read_bytes())
    data[len(data) // 2] ^= 1
    plan.write_bytes(data)
    assert run("bundle", "verify", copy) == 6
    assert f"engines/{plan.name} does not match its SHA-256" in capsys.readouterr().err


def test_the_command(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new.voxface"
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", "SM86,sm89", "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(out)
    assert document["provider"] == "tensorrt-rtx"
    assert [entry["targets"] for entry in document["engines"]] == [["sm86", "sm89"]] * 3
    assert all(entry["seconds"] > 0 for entry in document["engines"])
    assert not (copy / "engines").exists()
    # In place; again the same; another target beside; alone.
    for target, count, more in (("sm86", 3, []), ("sm86", 3, []), ("sm120", 6, []), ("sm75", 3, ["--only"])):
        assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", target, *more) == 0
        assert len(Bundle.open(copy).plans) == len(list((copy / "engines").iterdir())) == count
    assert "1×1 convolutions: node_linear" in capsys.readouterr().out
    assert run("bundle", "verify", copy) == 0
    assert run("run", SAMPLES[0], "--bundle", copy, "--out", tmp_path / "faces") == 0  # the CPU does not mind engines


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--target", "sm90"], "--target sm90: tensorrt-rtx .* builds for sm75, sm80, sm86, sm89, sm120, sm121"),
        (["--target", "ampere"], "--target ampere: .* builds for sm75"),
        (["--profile", "T=9"], "--profile T=9: give a dimension and its smallest, best and largest length"),
        (["--profile", "T=9,8,7"], "lengths have to rise"),
        (["--profile", "T=0,1,1"], "lengths have to rise"),
        (["--profile", "Q=1,1,2"], "--profile Q=1,1,2: the graphs have B and T, no Q"),
        (["--profile", "T=1,1,2", "--profile", "T=1,1,3"], "--profile T=1,1,3: T has been given already"),
    ],
)
def test_what_cannot_be_built_is_a_usage_error(
    copy: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    import re

    before = contents(copy)
    assert run("build", copy, "--flavour", "tensorrt-rtx", *words) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert contents(copy) == before


def test_places_where_no_bundle_may_be_written(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("build", DEFAULT, "--flavour", "tensorrt-rtx") == 2
    assert "part of the installation; give --out my.voxface" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--out", tmp_path / "mine") == 2
    assert "is no bundle" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--out", tmp_path / "file" / "b.voxface") == 3
    assert "cannot be written" in capsys.readouterr().err


def test_an_interrupted_build_leaves_the_bundle_as_it_was(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", "sm86") == 0
    before, handler = contents(copy), signal.getsignal(signal.SIGINT)
    seen: list[str] = []

    def at(self: object, done: int, total: int, label: str | None = None) -> None:
        seen.append(str(label))
        if str(label).startswith("face") and done > 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("voxface.cli.build.Progress.at", at)
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", "sm89") == 130
    assert seen[0] == "encoder for sm89"
    assert not [label for label in seen if label.startswith("mesh")]
    assert contents(copy) == before
    assert signal.getsignal(signal.SIGINT) is handler
    assert run("bundle", "verify", copy) == 0
    capsys.readouterr()

    def broken(self: object, done: int, total: int, label: str | None = None) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("voxface.cli.build.Progress.at", broken)
    assert run("build", copy, "--flavour", "tensorrt-rtx", "--target", "sm89") == 3
    assert "No space left" in capsys.readouterr().err
    assert contents(copy) == before


def test_an_interruption_while_the_folder_is_swapped_brings_the_old_one_back(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copy)
    real = Path.rename
    monkeypatch.setattr("voxface.runtime.files.replacement.exchange", lambda one, other: False)  # two steps, not one

    def rename(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        build_bundle(Bundle.open(copy), copy, "tensorrt-rtx", ["sm86"])
    assert contents(copy) == before


def test_without_the_library(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert run("build", copy, "--flavour", "tensorrt-rtx") == 5
    assert "for TensorRT for RTX " in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert run("build", copy, "--flavour", "tensorrt") == 5
    assert "TensorRT of this device (JetPack brings it" in capsys.readouterr().err
