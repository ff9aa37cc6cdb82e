"""`voxface data synth` and `voxface data fit` from outside: what they write, and what they say of bad input."""

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command_line import run
from tests.stand_ins.landmark_networks import heat_maps, write_graph
from tests.stand_ins.small_head import small_head, small_population
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.png import png
from voxface.runtime.install_advice import how_to_install
from voxface.training.faces.camera import Camera, Pose, Space
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.population import FacePopulation

HEAD = small_head()


@pytest.fixture(scope="module")
def faces_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small head, with its population beside it as population.npz."""
    folder = tmp_path_factory.mktemp("model")
    HEAD.save(folder / "head.npz")
    small_population(HEAD).save(folder / "population.npz")
    return folder / "head.npz"


@pytest.fixture(scope="module")
def landmarks() -> NDArray[np.float64]:
    """Six faces, a pixel of noise."""
    rng = np.random.default_rng(5)
    pose = Pose.from_angles(rng.uniform(-20, 20, (6, 3)), np.full(6, 0.8), np.full((6, 2), 60.0))
    seen = LandmarkFitter(HEAD).predict(rng.standard_normal((6, HEAD.modes)), pose)
    return seen + rng.standard_normal(seen.shape)


def synth(out: Path, faces: Path, *more: object) -> int:
    return run("data", "synth", "--out", out, "--faces", faces, "--population", faces.parent / "population.npz", *more)


def test_synth_writes_all_that_is_known(tmp_path: Path, faces_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("open3d")
    from PIL import Image

    assert synth(tmp_path / "set", faces_file, "--count", 4, "--seed", 7, "--size", 64, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert (document["count"], document["female"], document["male"]) == (4, 2, 2)
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["morphable_model"] == document["morphable_model"] == {
        "name": "small-head", "version": "1", "licence": "CC0-1.0",
    }  # fmt: skip
    assert "no real person" in manifest["about"]
    pictures = [np.asarray(Image.open(tmp_path / "set" / name)) for name in manifest["faces"]]
    assert {picture.shape for picture in pictures} == {(64, 64, 3)}
    assert len({picture.tobytes() for picture in pictures}) == 4
    known = np.load(document["files"]["faces"])
    assert known["sexes"].tolist() == [0, 1, 0, 1]
    assert known["coefficients"].shape == (4, HEAD.modes)
    assert known["landmarks2d"].shape == known["landmarks2d_anatomical"].shape == (4, 68, 2)
    assert (known["landmarks2d"][:, 17:] == known["landmarks2d_anatomical"][:, 17:]).all()
    pose = Pose(*(known[key].astype(np.float64) for key in ("rotation", "scale", "translation")))
    assert pose.angles == pytest.approx(known["angles"], abs=1e-3)
    camera = Camera(manifest["camera"]["focal_px"], tuple(manifest["camera"]["centre_px"]))
    again = LandmarkFitter(HEAD, camera).predict(known["coefficients"], pose)
    assert again == pytest.approx(known["landmarks2d"], abs=1e-3)
    assert (0 < again).all()
    assert (again < 64).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]

    # A face of a seed does not depend on how many there are.
    assert synth(tmp_path / "more", faces_file, "--count", 1, "--seed", 7, "--size", 64) == 0
    assert "1 faces of 64 × 64 px (1 female, 0 male)" in capsys.readouterr().out
    first = (tmp_path / "more" / manifest["faces"][0]).read_bytes()
    assert first == (tmp_path / "set" / manifest["faces"][0]).read_bytes()

    # What synth writes, fit reads, and finds the pose again.
    fitted = tmp_path / "fitted.npz"
    words = ["--camera", "pinhole", "--focal", manifest["camera"]["focal_px"], "--centre", 32, 32]
    source = tmp_path / "set" / "faces.npz"
    assert (
        run("data", "fit", "--landmarks", source, "--out", fitted, "--faces", faces_file, "--sigma", 0.2, *words) == 0
    )
    assert np.abs(np.load(fitted)["angles"] - known["angles"]).max() < 8
    assert np.load(fitted)["residual_px"].max() < 0.5


def test_synth_of_one_sex(tmp_path: Path, faces_file: Path) -> None:
    pytest.importorskip("open3d")
    for sex, number in (("F", 0), ("M", 1)):
        assert synth(tmp_path / sex, faces_file, "--count", 2, "--sex", sex, "--size", 64) == 0
        assert np.load(tmp_path / sex / "faces.npz")["sexes"].tolist() == [number, number]


def test_synth_refuses(tmp_path: Path, faces_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    population = faces_file.parent / "population.npz"
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    (tmp_path / "text.npz").write_text("none")
    small = FacePopulation(np.zeros((2, 3), np.float32), np.stack([np.eye(3, dtype=np.float32)] * 2))
    small.save(tmp_path / "other.npz")
    out = ["--out", tmp_path / "new"]
    model = ["--faces", faces_file]
    for words, code, message in (
        ([*out, *model, "--count", 0, "--population", population], 2, "--count 0: at least 1"),
        ([*out, *model, "--count", 1, "--seed", -1, "--population", population], 2, "--seed -1"),
        ([*out, *model, "--count", 1], 2, "--population: needed"),
        ([*out, *model, "--count", 1, "--population", tmp_path / "other.npz"], 2, "has 3 coefficients"),
        ([*out, *model, "--count", 1, "--population", tmp_path / "text.npz"], 3, "not a population"),
        ([*out, *model, "--count", 1, "--population", tmp_path / "nowhere.npz"], 3, "no such file"),
        (
            [*out, "--faces", tmp_path / "text.npz", "--count", 1, "--population", population],
            3,
            "not a morphable model",
        ),
        ([*out, "--faces", tmp_path / "nowhere", "--count", 1, "--population", population], 3, "no such file"),
        ([*out, "--bundle", "/nowhere", "--count", 1, "--population", population], 6, "no such bundle"),
        (["--out", tmp_path / "there", *model, "--count", 1, "--population", population], 2, "is there already"),
        ([*out, *model, "--count", 1, "--size", 65, "--population", population], 2, "invalid choice"),
    ):
        assert run("data", "synth", *words) == code, message
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
        assert not (tmp_path / "new").exists()


def test_synth_without_open3d(
    tmp_path: Path, faces_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    assert synth(tmp_path / "set", faces_file, "--count", 1) == 5
    assert how_to_install("viewer") in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_synth_that_is_stopped_leaves_nothing(
    tmp_path: Path, faces_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d")
    real = Path.write_bytes

    def fail(self: Path, data: bytes) -> int:
        if self.name == "face_000001.png":
            raise OSError(28, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    assert synth(tmp_path / "set", faces_file, "--count", 3, "--size", 64) == 3
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_synth_from_the_default_bundle(
    tmp_path: Path, default_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("open3d")
    modes = default_bundle.morphable.identity_modes
    spread = np.stack([np.eye(modes, dtype=np.float32) * 0.5] * 2)
    FacePopulation(default_bundle.morphable.sex_means[:, :modes], spread).save(tmp_path / "p.npz")
    words = ["--count", 1, "--size", 64, "--population", tmp_path / "p.npz", "--json"]
    assert run("data", "synth", "--out", tmp_path / "set", *words) == 0
    assert json.loads(capsys.readouterr().out)["morphable_model"]["name"] == default_bundle.morphable.name


# fit


def write_csv(path: Path, rows: list[list[Any]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def fit(source: Path, out: Path, faces: Path, *more: object) -> int:
    return run("data", "fit", "--landmarks", source, "--out", out, "--faces", faces, *more)


def test_synth_takes_the_population_of_the_bundle(tmp_path: Path) -> None:
    pytest.importorskip("open3d")
    assert run("data", "synth", "--out", tmp_path / "set", "--count", 2, "--size", 64) == 0
    assert len(list((tmp_path / "set").glob("*.png"))) == 2


def test_npz_and_csv_give_the_same(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "l.npz", landmarks=landmarks)
    header = ["name", *(f"{axis}{k}" for k in range(68) for axis in "xy")]
    rows = [[f"face {i}", *row.ravel()] for i, row in enumerate(landmarks)]
    write_csv(tmp_path / "l.csv", [header, *rows])
    write_csv(tmp_path / "bare.csv", [row[1:] for row in rows])
    assert fit(tmp_path / "l.npz", tmp_path / "a.npz", faces_file, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert (document["given"], document["fitted"], document["not_converged"], document["errors"]) == (6, 6, 0, [])
    assert document["camera"] == {"kind": "weak", "focal_px": None}
    assert document["contour"] == "silhouette"
    assert 0.5 < document["residual_px"]["p50"] < 1.2
    assert 0 < document["determined"]["directions"] < document["determined"]["of"] == HEAD.modes
    assert fit(tmp_path / "l.csv", tmp_path / "b.npz", faces_file) == 0
    assert "6 of 6 faces fitted, residual 0." in capsys.readouterr().out
    assert fit(tmp_path / "bare.csv", tmp_path / "c.npz", faces_file) == 0
    a, b, c = (np.load(tmp_path / f"{name}.npz") for name in "abc")
    assert b["names"].tolist() == [f"face {i}" for i in range(6)]
    assert c["names"].tolist() == [str(i + 1) for i in range(6)]
    for key in ("coefficients", "variance", "rotation", "scale", "translation", "angles", "residual_px"):
        assert len(a[key]) == 6
        assert a[key] == pytest.approx(b[key], abs=1e-5)
        assert a[key] == pytest.approx(c[key], abs=1e-5)
    assert (a["variance"] > 0).all()
    assert (a["variance"] < 1.001).all()
    assert a["converged"].all()


def test_bad_rows_are_reported_with_their_line_and_left_out(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[list[Any]] = [list(row.ravel()) for row in landmarks]
    rows[1][5] = "nan"
    rows[2] = rows[2][:100]
    rows[3][7] = "left"
    rows[4] = [3.0] * 136
    write_csv(tmp_path / "l.csv", [*rows[:2], [], *rows[2:]])
    assert fit(tmp_path / "l.csv", tmp_path / "a.npz", faces_file, "--json") == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [error["line"] for error in document["errors"]] == [2, 4, 5, 6]
    assert {error["exit_code"] for error in document["errors"]} == {3}
    wanted = ("landmark 2 is not finite", "100 numbers, not 136", "column 8 is 'left'", "lie in one point or on a line")
    for error, line, message in zip(document["errors"], captured.err.splitlines(), wanted, strict=True):
        assert error["message"] in line
        assert message in line
        assert line.endswith("left out")
    assert np.load(tmp_path / "a.npz")["names"].tolist() == ["1", "7"]
    for scale, reason in ((1e30, "row 0: landmark 0 lies at "), (1e-30, "row 0: all landmarks lie within 1e-05")):
        np.savez(tmp_path / "l.npz", landmarks2d=landmarks * scale)
        assert fit(tmp_path / "l.npz", tmp_path / "b.npz", faces_file) == 3
        assert reason in capsys.readouterr().err
    damaged = landmarks.copy()
    damaged[2, 0, 0] = np.inf
    np.savez(tmp_path / "l.npz", landmarks2d=damaged)
    assert fit(tmp_path / "l.npz", tmp_path / "b.npz", faces_file) == 3
    assert "row 2: landmark 0 is not finite" in capsys.readouterr().err
    assert len(np.load(tmp_path / "b.npz")["scale"]) == 5


def test_landmarks_in_space(tmp_path: Path, faces_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pose = Pose.from_angles(np.array([[20.0, 5.0, 0.0]]), np.ones(1), np.zeros((1, 3)))
    places = LandmarkFitter(HEAD, Space(), contour="anatomical").predict(np.zeros((1, HEAD.modes)), pose)
    np.savez(tmp_path / "l.npz", landmarks3d=places)
    assert fit(tmp_path / "l.npz", tmp_path / "a.npz", faces_file, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["camera"]["kind"], document["contour"]) == ("space", "anatomical")
    assert np.load(tmp_path / "a.npz")["angles"][0] == pytest.approx([20, 5, 0], abs=0.2)
    for words in (["--contour", "silhouette"], ["--camera", "pinhole", "--focal", 500, "--centre", 0, 0]):
        assert fit(tmp_path / "l.npz", tmp_path / "b.npz", faces_file, *words) == 2
        assert "3-D landmarks" in capsys.readouterr().err


def test_a_folder_of_pictures(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("PIL")
    graph = write_graph(tmp_path / "d.onnx", heat_maps((landmarks[0] / 120).astype(np.float32), 64))
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    grey = np.full((240, 240, 3), 90, np.uint8)
    (folder / "a.png").write_bytes(png(grey))
    (folder / "deeper" / "b.png").write_bytes(png(grey[:120, :120].copy()))
    (folder / "bad.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not looked at")
    words = ["--detector", f"onnx:{graph}", "--crops", "--by-folder", "--camera", "pinhole", "--focal", 700, "--json"]
    assert fit(folder, tmp_path / "a.npz", faces_file, *words) == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [error["picture"] for error in document["errors"]] == ["bad.jpg"]
    assert "bad.jpg: cannot be read as a picture" in captured.err
    fitted = np.load(tmp_path / "a.npz")
    assert fitted["names"].tolist() == ["a.png", "deeper/b.png"]
    assert fitted["people"].tolist() == [".", "deeper"]
    assert fitted["people_pictures"].tolist() == [1, 1]
    assert document["people"] == 2
    assert fitted["scale"][0] == pytest.approx(2 * fitted["scale"][1], rel=0.1)
    nothing = write_graph(tmp_path / "none.onnx", np.zeros((1, 68, 8, 8), np.float32))
    assert fit(folder, tmp_path / "b.npz", faces_file, "--detector", f"onnx:{nothing}", "--crops") == 3
    error = capsys.readouterr().err
    assert error.count("no face found; left out") == 2
    assert f"{folder}: no face that can be used" in error
    assert not (tmp_path / "b.npz").exists()


def test_points_of_ibug(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    """`.pts` files count pixels from 1: each face is that of the table, with all its points one further."""
    np.savez(tmp_path / "l.npz", landmarks2d=landmarks)
    assert fit(tmp_path / "l.npz", tmp_path / "a.npz", faces_file) == 0
    folder = tmp_path / "300W"
    (folder / "deeper").mkdir(parents=True)
    ends = ("\n", "\r\n", "\r")
    for k, face in enumerate(landmarks):
        points = "\n".join(f"{x!r} {y!r}" for x, y in (face + 1).tolist())
        text = f"version: 1\nn_points:  68\n{{\n{points}\n}}\n".replace("\n", ends[k % 3])
        (folder / "deeper" / f"image_{k:03}.pts").write_bytes(b"\xef\xbb\xbf" * (k % 2) + text.encode())
    (folder / "deeper" / "._image_000.pts").write_bytes(bytes.fromhex("0005160700020000"))
    (folder / "few.pts").write_text("n_points: 2\n{\n1 2\n3 4\n}")
    capsys.readouterr()
    assert fit(folder, tmp_path / "b.npz", faces_file, "--json") == 3
    captured = capsys.readouterr()
    assert [error["file"] for error in json.loads(captured.out)["errors"]] == ["few.pts"]
    assert "few.pts: 2 points, not 68; left out" in captured.err
    one, other = (np.load(tmp_path / f"{name}.npz") for name in "ab")
    assert other["names"].tolist() == [f"deeper/image_{k:03}.pts" for k in range(len(landmarks))]
    np.testing.assert_allclose(other["coefficients"], one["coefficients"], atol=1e-4)
    assert fit(folder / "deeper" / "image_001.pts", tmp_path / "c.npz", faces_file) == 0
    np.testing.assert_allclose(np.load(tmp_path / "c.npz")["angles"][0], one["angles"][1], atol=1e-3)
    for text, message in {
        "version: 1\nn_points: 3\n{\n1 2\n}\n": "holds 1 points and says 3",
        "n_points: 68\n1 2\n": "no .pts file",
        "n_points: 1\n{\n1 nose\n}\n": "its points are no pairs of numbers",
        "n_points: 1\n{\n1 2 3\n}\n": "its points are no pairs of numbers",
    }.items():
        (tmp_path / "x.pts").write_text(text)
        assert fit(tmp_path / "x.pts", tmp_path / "d.npz", faces_file) == 3
        assert message in capsys.readouterr().err


def test_tables_as_other_systems_save_them(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(tmp_path / "l.csv", [[f"face {k}", *row.ravel()] for k, row in enumerate(landmarks)])
    text = (tmp_path / "l.csv").read_text()
    others = (text.replace("\n", "\r"), "\ufeff" + text.replace("\n", "\r\n"), *(text.replace(",", c) for c in ";\t"))
    for k, data in enumerate(others):
        (tmp_path / "other.csv").write_bytes(data.encode())
        assert fit(tmp_path / "other.csv", tmp_path / f"{k}.npz", faces_file) == 0, capsys.readouterr().err
        assert np.load(tmp_path / f"{k}.npz")["names"].tolist() == [f"face {n}" for n in range(len(landmarks))]


def test_what_is_no_file_is_refused_by_every_option(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe that nobody writes to would be waited for, and /dev/zero read for ever."""
    np.savez(tmp_path / "l.npz", landmarks2d=landmarks)
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for odd, message in (
        (tmp_path / "pipe.npz", "is a pipe, no file"),
        (tmp_path / "zero.csv", "is a device, no file"),
    ):
        assert fit(odd, tmp_path / "a.npz", faces_file) == 3
        assert message in capsys.readouterr().err
        assert fit(tmp_path / "l.npz", tmp_path / "a.npz", odd) == 3
        assert f"--faces {odd}: {message}" in capsys.readouterr().err
        assert fit(tmp_path / "l.npz", tmp_path / "a.npz", faces_file, "--population", odd) == 3
        assert f"--population {odd}: {message}" in capsys.readouterr().err


def _text(path: Path) -> None:
    path.write_text("hello,world\n")


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00binary" * 20)


def _wrong_shape(path: Path) -> None:
    np.savez(path, landmarks=np.zeros((3, 5, 2)))


def _other_name(path: Path) -> None:
    np.savez(path, points=np.zeros((3, 68, 2)))


def _pickled(path: Path) -> None:
    np.savez(path, landmarks=np.array([object()]))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("text.csv", _text, "no face that can be used"),
        ("binary.csv", _binary, "is text in UTF-16; save it as UTF-8"),
        ("binary.npz", _binary, "not an .npz file"),
        ("shape.npz", _wrong_shape, "[3, 5, 2], not numbers [faces, 68, 2]"),
        ("name.npz", _other_name, "only points"),
        ("pickle.npz", _pickled, "not an .npz file"),
        ("notes.txt", _text, "are read from .npz, .csv and .pts files"),
    ],
)
def test_files_that_hold_no_landmarks(
    tmp_path: Path,
    faces_file: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    make: Callable[[Path], None],
    message: str,
) -> None:
    make(tmp_path / name)
    assert fit(tmp_path / name, tmp_path / "a.npz", faces_file) == 3
    error = capsys.readouterr().err
    assert message in error
    assert str(tmp_path / name) in error
    assert "Traceback" not in error
    assert not (tmp_path / "a.npz").exists()


def test_fit_refuses(
    tmp_path: Path, faces_file: Path, landmarks: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "l.npz", landmarks=landmarks)
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.task").touch()
    source, out = tmp_path / "l.npz", tmp_path / "a.npz"
    for where, words, code, message in (
        (source, ["--camera", "pinhole"], 2, "needs --focal"),
        (source, ["--camera", "pinhole", "--focal", -3], 2, "needs --focal"),
        (source, ["--camera", "pinhole", "--focal", 700], 2, "need --centre"),
        (source, ["--focal", 700], 2, "for --camera pinhole only"),
        (source, ["--sigma", 0], 2, "greater than 0"),
        (source, ["--sigma", "inf"], 2, "greater than 0, and finite"),
        (source, ["--camera", "pinhole", "--focal", 700, "--centre", "nan", 0], 2, "finite numbers of pixels"),
        (source, ["--detector", "mediapipe:x"], 2, "for a folder of pictures only"),
        (source, ["--crops"], 2, "go with --detector onnx"),
        (source, ["--by-folder"], 2, "a folder of folders"),
        (tmp_path / "folder", ["--detector", "mediapipe:x", "--face-detector", "y"], 2, "go with --detector onnx"),
        (source, ["--population", tmp_path / "nowhere"], 3, "no such file"),
        (tmp_path / "folder", [], 2, "say what finds their landmarks"),
        (tmp_path / "folder", ["--detector", "onnx:x", "--crops"], 3, "no picture in this folder"),
        (tmp_path / "nowhere", [], 3, "no such file or folder"),
    ):
        assert fit(where, out, faces_file, *words) == code, message
        assert message in capsys.readouterr().err
    assert fit(source, tmp_path / "a.txt", faces_file) == 2
    assert "ends in .npz" in capsys.readouterr().err
    (tmp_path / "folder" / "a.png").write_bytes(png(np.zeros((8, 8, 3), np.uint8)))
    for detector, code, message in (
        ("dlib:x", 2, "no landmark detector"),
        ("onnx:nowhere.onnx", 2, "--face-detector"),
        ("mediapipe:nowhere.task", 3, "no such file"),
    ):
        assert fit(tmp_path / "folder", out, faces_file, "--detector", detector) == code
        assert message in capsys.readouterr().err
    for package, detector in (("mediapipe", f"mediapipe:{tmp_path / 'a.task'}"), ("face_alignment", "face-alignment")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            assert fit(tmp_path / "folder", out, faces_file, "--detector", detector) == 5
        assert f"pip install {package.replace('_', '-')}" in capsys.readouterr().err
    assert not out.exists()


def test_fit_with_the_default_bundle(
    tmp_path: Path, default_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    model = default_bundle.morphable
    pose = Pose.from_angles(np.array([[25.0, -5.0, 3.0]]), np.ones(1), np.array([[60.0, 55.0]]))
    seen = LandmarkFitter(model).predict(model.sex_means[:1], pose)
    np.savez(tmp_path / "l.npz", landmarks=seen)
    assert run("data", "fit", "--landmarks", tmp_path / "l.npz", "--out", tmp_path / "a.npz", "--json") == 0
    assert json.loads(capsys.readouterr().out)["morphable_model"]["name"] == model.name
    assert np.load(tmp_path / "a.npz")["angles"][0] == pytest.approx([25, -5, 3], abs=3)
