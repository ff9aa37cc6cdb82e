"""One rule for every verb that writes: what is there already is refused before the work; --force replaces its own kind only."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import every_command
from tests.command_line import run
from tests.conftest import SAMPLES

SMALL = Path(__file__).parent.parent / "stored" / "small.voxface"
# Options that name a result.
RESULTS = {"--out", "--save", "--trace", "--record", "--plot", "--triton"}
# A recording and a training grow while they run, and cannot be made again in a moment: these are never replaced.
NEVER_REPLACED = {"live", "train"}


def test_every_command_that_writes_has_force() -> None:
    writing = 0
    for words, parser in every_command():
        options = {text for action in parser._actions for text in action.option_strings}
        if options & RESULTS:
            writing += 1
            if words.split()[0] not in NEVER_REPLACED:
                assert "--force" in options, words
        else:
            assert "--force" not in options, words
    assert writing > 15


# -- bundles; `export` replaces them in test_export.py ---------------------------------------------------------------------

BUNDLES = {
    "export": ["export", "{here}/no-run", "--out"],
    "calibrate": ["calibrate", SMALL, "--audio", "{here}/no-audio", "--precision", "fp16", "--out"],
    "build": ["build", SMALL, "--flavour", "tensorrt-rtx", "--target", "sm12345", "--out"],
    "bundle import": ["bundle", "import", "--face-model", "{here}/no-model", "--out"],
}


def words(command: list[str | Path], here: Path) -> list[str]:
    return [str(word).format(here=here) for word in command]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """What is missing to do the work would be found only by doing it."""
    out = tmp_path / "mine.voxface"
    shutil.copy(SMALL, out)
    command = words(BUNDLES[name], tmp_path)
    assert run(*command, out) == 2
    said = capsys.readouterr().err
    assert said == f"voxface: error: --out {out}: is there already; choose another name, or replace it with --force\n"
    assert run(*command, out, "--force") != 0
    assert "is there already" not in capsys.readouterr().err, "with --force it goes on"
    assert out.read_bytes() == SMALL.read_bytes(), "and replaces nothing before there is something new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.voxface"]


@pytest.mark.parametrize("name", BUNDLES)
def test_force_replaces_no_other_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    out = tmp_path / "thesis.voxface"
    out.write_text("years of work")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "thesis.txt").write_text("years of work")
    for place in (out, tmp_path / "project"):
        assert run(*words(BUNDLES[name], tmp_path), place, "--force") == 2
        assert "is there already and is no bundle; choose another name" in capsys.readouterr().err
    assert out.read_text() == (tmp_path / "project" / "thesis.txt").read_text() == "years of work"


def test_engines_go_into_the_same_bundle_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
    out = tmp_path / "mine.voxface"
    shutil.copy(SMALL, out)
    for more in ([], ["--out", out], ["--out", tmp_path / "." / "mine.voxface"]):
        assert run("build", out, "--flavour", "tensorrt-rtx", "--target", "sm12345", *more) != 0
        assert "is there already" not in capsys.readouterr().err


# -- profiles and traces ----------------------------------------------------------------------------------------------------


def test_a_profile_and_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"--save": tmp_path / "p.json", "--trace": tmp_path / "t.json"}
    measure = ["profile", "--source", SAMPLES[0], "--seconds", 0.5, "--json"]
    assert run(*measure, *(word for pair in files.items() for word in pair)) == 0
    before = {path: path.read_bytes() for path in files.values()}
    capsys.readouterr()
    for option, path in files.items():
        assert run(*measure, option, path, "--seconds", 80_000) == 2
        captured = capsys.readouterr()
        said = f"{option} {path}: is there already; choose another name, or replace it with --force"
        assert captured.err == f"voxface: error: {said}\n"
        assert json.loads(captured.out) == {"errors": [{"file": None, "exit_code": 2, "message": said}]}
    # Each is replaced by its own kind alone.
    assert run(*measure, "--save", files["--trace"], "--force", "--seconds", 80_000) == 2
    assert "is there already and is no profile, so --force does not replace it" in capsys.readouterr().err
    assert run(*measure, "--trace", files["--save"], "--force", "--seconds", 80_000) == 2
    assert "is there already and is no trace" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files.values()} == before
    assert run(*measure, *(word for pair in files.items() for word in pair), "--force") == 0
    assert all(path.read_bytes() != data for path, data in before.items())
    json.loads(files["--save"].read_text())


# -- worlds, faces and fits -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a small head and its population."""
    from tests.stand_ins.small_head import small_head, small_population

    folder = tmp_path_factory.mktemp("head")
    made = small_head()
    made.save(folder / "head.npz")
    small_population(made).save(folder / "population.npz")
    return ["--faces", str(folder / "head.npz"), "--population", str(folder / "population.npz")]


def test_pairs_and_faces(tmp_path: Path, head: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("open3d")
    people = ["data", "synth", "--people", 2, "--seconds", 1.5, "--utterances", 1, "--pictures", 1, "--variants", 0]
    people += ["--workers", 1, *head]
    faces = ["data", "synth", "--count", 1, "--size", 64, *head]
    prepare = ["data", "prepare", "--speech", tmp_path / "no-speech", *head]
    assert run(*people, "--out", tmp_path / "pairs") == 0
    assert run(*faces, "--out", tmp_path / "faces") == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    for command, own, other, what in (
        (people, "pairs", "faces", "folder of pairs"),
        (prepare, "pairs", "faces", "folder of pairs"),
        (faces, "faces", "pairs", "folder of faces"),
    ):
        place = tmp_path / own
        assert run(*command, "--out", place) == 2
        assert f"--out {place}: is there already; choose another name, or replace it with --force" in (
            capsys.readouterr().err
        )
        assert run(*command, "--out", tmp_path / other, "--force") == 2
        assert f"is there already and is no {what}, so --force does not replace it" in capsys.readouterr().err
    assert run(*prepare, "--out", tmp_path / "pairs", "--force") == 3, "goes on to what is missing"
    capsys.readouterr()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # One file that is not ours, and nothing is replaced.
    (tmp_path / "pairs" / "notes.txt").write_text("mine")
    assert run(*people, "--out", tmp_path / "pairs", "--force") == 2
    (tmp_path / "pairs" / "notes.txt").unlink()

    assert run(*people, "--out", tmp_path / "pairs", "--force", "--seed", 1) == 0
    assert run(*faces, "--out", tmp_path / "faces", "--force", "--seed", 1) == 0
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(after) == set(before)
    for name in ("pairs/pairs.json", "faces/manifest.json"):
        assert after[tmp_path / name] != before[tmp_path / name]


def test_fitted_faces(tmp_path: Path, head: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from tests.stand_ins.small_head import small_head
    from voxface.training.faces.camera import Pose
    from voxface.training.faces.fitting import LandmarkFitter

    pose = Pose.from_angles(np.zeros((2, 3)), np.full(2, 0.8), np.full((2, 2), 60.0))
    seen = LandmarkFitter(small_head()).predict(np.zeros((2, small_head().modes)), pose)
    np.savez(tmp_path / "marks.npz", names=np.array(["a", "b"]), landmarks2d=seen)
    out = tmp_path / "fitted.npz"
    fit = ["data", "fit", "--landmarks", tmp_path / "marks.npz", *head, "--out"]
    assert run(*fit, out) == 0
    before = out.read_bytes()
    capsys.readouterr()
    assert run(*fit, out, "--sigma", 2) == 2
    assert f"--out {out}: is there already; choose another name, or replace it with --force" in capsys.readouterr().err
    assert run(*fit, tmp_path / "marks.npz", "--force") == 2
    assert f"is {tmp_path / 'marks.npz'}, which is read" in capsys.readouterr().err
    shutil.copy(tmp_path / "marks.npz", tmp_path / "other.npz")
    assert run(*fit, tmp_path / "other.npz", "--force") == 2
    assert "is no result of `voxface data fit`, so --force does not replace it" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(*fit, out, "--sigma", 2, "--force") == 0
    assert out.read_bytes() != before


# -- what is never replaced -------------------------------------------------------------------------------------------------


def test_a_recording_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = ["live", "--source", SAMPLES[0], "--show", "none", "--seconds", 1, "--json", "--record", tmp_path / "r"]
    run(*record)
    before = {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    assert before
    capsys.readouterr()
    assert run(*record) == 2
    assert f"--record {tmp_path / 'r'}: exists already; give a new folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()} == before
