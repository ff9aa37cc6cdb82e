"""`voxface bundle import`: a published face model in a bundle, driven by the voices of another."""

import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.command_line import run  # noqa: E402
from tests.conftest import SAMPLES  # noqa: E402
from tests.stand_ins import face_model_files as files  # noqa: E402
from tests.stand_ins.face_model_files import Face, face  # noqa: E402
from voxface.cli import bundle as bundle_verb  # noqa: E402
from voxface.importers.face_models import FORMATS, read_face_model  # noqa: E402
from voxface.importers.retarget import coefficient_map, extend_graph, retarget_model  # noqa: E402
from voxface.runtime.bundle.bundle import Bundle  # noqa: E402
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, write_face_posterior  # noqa: E402
from voxface.runtime.bundle.manifest import Manifest  # noqa: E402
from voxface.runtime.bundle.writer import write_zip  # noqa: E402
from voxface.runtime.config.face_posterior import FacePosteriorWeights  # noqa: E402
from voxface.runtime.engines.opening import open_engine  # noqa: E402
from voxface.runtime.errors import BundleError  # noqa: E402
from voxface.runtime.face.morphable_model import MorphableModel  # noqa: E402
from voxface.runtime.inference.attributes import read_attributes  # noqa: E402
from voxface.training.faces.population import FacePopulation  # noqa: E402

pytestmark = pytest.mark.train

MADE = face()


def base_model(folder: Path) -> MorphableModel:
    """The made-up face as a model that knows sexes and types."""
    model = read_face_model(files.write_ict(folder / "ict", MADE))
    modes = np.eye(model.modes, dtype=np.float32)
    return replace(
        model,
        name="made-up",
        sex_means=np.stack([-modes[0] - modes[1], modes[0] + modes[1]]),
        sex_scale=0.8,
        face_types={"wide": 2 * modes[0], "slim": -2 * modes[0], "regular": 0 * modes[0]},
    )


def graph(name: str, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **weights: Any) -> bytes:
    made = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def graphs(modes: int) -> dict[str, bytes]:
    """Three small graphs with the signatures of a bundle's: random, but they listen."""
    random = np.random.default_rng(0)
    node = helper.make_node
    return {
        "encoder": graph(
            "encoder",
            [
                node("AveragePool", ["log_mel"], ["columns"], kernel_shape=[32], strides=[32], ceil_mode=1),
                node("ReduceMean", ["log_mel", "time"], ["mean"], keepdims=0),
                node("LpNormalization", ["mean"], ["embedding"], axis=1, p=2),
            ],
            {"log_mel": ["B", 64, "T"]},
            {"embedding": ["B", 64], "columns": ["B", 64, "C"]},
            time=np.array([2]),
        ),
        "face": graph(
            "face",
            [
                node("MatMul", ["embedding", "weight"], ["pixels"]),
                node("Reshape", ["pixels", "shape"], ["image"]),
            ],
            {"embedding": ["B", 64]},
            {"image": ["B", 3, 64, 64]},
            weight=random.normal(0, 1, (64, 12288)).astype(np.float32),
            shape=np.array([-1, 3, 64, 64]),
        ),
        "mesh": graph(
            "mesh",
            [node("Gemm", ["embedding", "weight", "bias"], ["coefficients"])],
            {"embedding": ["B", 64]},
            {"coefficients": ["B", modes]},
            weight=random.normal(0, 2, (64, modes)).astype(np.float32),
            bias=random.normal(0, 0.3, modes).astype(np.float32),
        ),
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with the made-up face."""
    folder = tmp_path_factory.mktemp("base")
    model = base_model(folder)
    signatures = {}
    made = graphs(model.modes)
    for name, data in made.items():
        with open_engine(data) as engine:
            signatures[name] = {
                kind: {key: {"dtype": spec.dtype, "shape": list(spec.shape)} for key, spec in specs.items()}
                for kind, specs in (("inputs", engine.inputs), ("outputs", engine.outputs))
            }
    path = folder / "base.voxface"
    manifest = {
        "name": "base",
        "version": "1",
        "licence": "CC0-1.0",
        "description": "Made up.",
        "trained_on": ["nothing"],
        "metrics": {"loss": 1.0},
        "front_end": {},
        "vad": {},
        "graphs": {name: {"file": f"{name}.onnx", **signature} for name, signature in signatures.items()},
        "morphable_model": {"file": "morphable.npz", "provenance": "made up"},
        "population": {"file": "population.npz"},
        "model_card": {"file": "model_card.md"},
        "speech_modulation": {
            "centre": {"change": 1.0, "syllables": 0.3},
            "weight": {"change": 6.0, "syllables": 14.0},
            "bias": 1.0,
            "trained_on": ["nothing"],
        },
        "face_posterior": {"file": FACE_POSTERIOR},
    }
    # Like the embedded model's population: identity only.
    identity = model.identity_modes
    assert identity < model.modes
    spreads = np.stack([np.eye(identity, dtype=np.float32) * k for k in (0.5, 1)])
    people = FacePopulation(model.sex_means[:, :identity], spreads)
    factors = np.sqrt(spreads)
    errors = np.full((2, identity), 0.1, np.float32)
    posterior = FacePosteriorWeights(0.9 * factors, factors, errors, np.array([0, 1], np.uint8), np.array([0, 1]))
    contents = {
        **{f"{name}.onnx": data for name, data in made.items()},
        "model_card.md": b"# base\n",
        FACE_POSTERIOR: write_face_posterior(posterior),
    }
    write_zip(
        path,
        Manifest.from_json(manifest),
        {**contents, "morphable.npz": model.to_bytes(), "population.npz": people.to_bytes()},
    )
    return path


def other() -> Face:
    """The made-up face by other modes: mixed, and twice as many."""
    mix = np.linalg.qr(np.random.default_rng(4).normal(size=(5, 5)))[0]
    return replace(MADE, identity=np.tensordot(mix, MADE.identity, 1), expression=MADE.expression[::-1])


@pytest.mark.parametrize("out", ["flame.voxface", "folder"])
def test_a_bundle_with_another_model(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    model = files.write_flame(tmp_path / "generic_model.pkl", other())
    marks = files.write_landmarks(tmp_path / "marks.txt", MADE.landmarks)
    words = ["bundle", "import", "--face-model", model, "--landmarks", marks, "--bundle", base, "--out", tmp_path / out]
    assert run(*words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(tmp_path / out)
    assert document["name"] == "base+flame"
    assert document["trained_on"] == ["nothing"]
    assert "retargeted: coefficients of the morphable model made-up" in document["description"]
    assert "FLAME model licence" in document["licence"]
    assert "FLAME model licence" in document["morphable_model"]["licence"]
    assert "300 identity" not in document["morphable_model"]["provenance"], "only the leading 40 are kept"
    assert document["morphable_model"]["coefficients"] == 42
    assert document["graphs"]["mesh"]["outputs"]["coefficients"]["shape"] == ["B", 42]
    assert document["retargeting"]["identity_explained"] > 0.95
    assert document["retargeting"]["expression_explained"] > 0.95
    assert document["retargeting"]["placement_uncertainty_mm"] == pytest.approx(0.1, abs=0.05)
    assert document["retargeting"]["scale"] == pytest.approx(1, abs=1e-3)
    made = Bundle.open(tmp_path / out)
    assert made.manifest.speech_modulation == Bundle.open(base).manifest.speech_modulation is not None, "it goes along"
    card = made.files["model_card.md"].decode()
    assert card.startswith("# base\n\n## Other faces\n")
    assert "those of flame (FLAME model licence" in card
    people = FacePopulation.from_bytes(made.files["population.npz"])
    assert people.mean.shape == (2, 40)
    np.testing.assert_allclose(people.mean, made.morphable.sex_means[:, :40], atol=1e-5)
    assert people.covariance[1].trace() == pytest.approx(2 * people.covariance[0].trace(), rel=1e-4)
    assert run("bundle", "verify", tmp_path / out) == 0
    capsys.readouterr()
    clips = {}
    for name, bundle in (("old", base), ("new", tmp_path / out)):
        assert run("run", SAMPLES[0], "--bundle", bundle, "--out", tmp_path / name, "--samples", 1, "--json") == 0
        clips[name] = json.loads(capsys.readouterr().out)["clips"][0]
    assert len(clips["new"]["coefficients"]) == 42
    assert clips["new"]["embedding"] == pytest.approx(clips["old"]["embedding"], abs=1e-6)
    for name, size in clips["old"]["measurements_mm"].items():
        assert clips["new"]["measurements_mm"][name] == pytest.approx(size, abs=2.5), name
        sd = clips["old"]["measurements_sd_mm"][name]
        assert clips["new"]["measurements_sd_mm"][name] == pytest.approx(sd, rel=0.1), name
        assert clips["new"]["told"][name]["share"] == pytest.approx(clips["old"]["told"][name]["share"], abs=0.05), name
    assert clips["new"]["attributes"]["face_type"] == clips["old"]["attributes"]["face_type"]
    # Again, in place of the first one; this time for people.
    assert run(*words, "--force") == 0
    assert "retargeted   from made-up" in capsys.readouterr().out
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_faces_stay_the_same_faces(base: Path, tmp_path: Path) -> None:
    """The map against the truth: the other model spans the same faces, so they can be compared vertex by vertex."""
    old = Bundle.open(base).morphable
    target = read_face_model(
        files.write_gnm(tmp_path / "g.npz", other()), landmarks=files.write_landmarks(tmp_path / "m", MADE.landmarks)
    )
    to = coefficient_map(old, target)
    new = retarget_model(old, target, to)
    generator = np.random.default_rng(2)
    errors = []
    for _ in range(50):
        coefficients = generator.normal(size=old.modes).astype(np.float32)
        here, there = old.vertices(coefficients), new.vertices(to(coefficients))
        moved = np.linalg.norm(here - old.mean, axis=1).mean()
        errors.append(np.linalg.norm(here - there, axis=1).mean() / moved)
        assert read_attributes(new, to(coefficients)).sex["female"] == pytest.approx(
            read_attributes(old, coefficients).sex["female"], abs=0.12
        )
    assert np.mean(errors) < 0.15
    assert set(new.face_types) == {"wide", "slim", "regular"}
    assert read_attributes(new, new.sex_means[0]).sex["female"] == pytest.approx(
        read_attributes(old, old.sex_means[0]).sex["female"], abs=0.02
    )
    wide_man = new.face_types["wide"] + (new.sex_means[1] - new.sex_means[0]) / 2
    assert read_attributes(new, wide_man).face_type == "wide"


def test_a_larger_face_elsewhere_in_another_pose(base: Path) -> None:
    """Size goes with the model; where its head lies and how it nods are no coefficients."""
    old = Bundle.open(base).morphable
    nod = np.deg2rad(8)
    turn = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    moved = replace(
        old,
        mean=(1.1 * old.mean @ turn.T + [0, 5, -3]).astype(np.float32),
        basis=(1.1 * old.basis @ turn.T).astype(np.float32),
    )
    to = coefficient_map(old, moved)
    assert to.scale == pytest.approx(1.1, abs=1e-4)
    assert np.abs(to.offset).max() < 0.01
    assert np.abs(to.matrix - np.eye(old.modes)).max() < 0.2, "ridge regression shrinks a little"


def test_a_model_without_expressions(base: Path, tmp_path: Path) -> None:
    target = read_face_model(
        files.write_bfm2009(tmp_path / "b.mat", MADE), landmarks=files.write_landmarks(tmp_path / "m", MADE.landmarks)
    )
    to = coefficient_map(Bundle.open(base).morphable, target)
    assert to.expression_explained is None
    assert to.matrix.shape == (5, 7)
    assert (to.matrix[:, 5:] == 0).all(), "an expression never becomes an identity"


def test_a_graph_that_does_not_match_its_model(base: Path) -> None:
    model = Bundle.open(base).morphable
    to = coefficient_map(model, model)
    for wrong in (graphs(model.modes + 1)["mesh"], graphs(3)["face"], b"no graph"):
        with pytest.raises(BundleError, match="mesh: the base bundle's graph"):
            extend_graph(wrong, to)


@pytest.mark.slow
def test_run_with_ict(base: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real ICT-FaceKit in a bundle, from the command line to the mesh."""
    out = tmp_path / "ict.voxface"
    words = ["--face-model", shared / "ict-facekit", "--bundle", base, "--out", out]
    assert run("bundle", "import", *words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["morphable_model"]["vertices"] == 26_719
    assert document["morphable_model"]["coefficients"] == 50
    assert document["morphable_model"]["licence"].startswith("MIT")
    assert run("bundle", "verify", out) == 0
    capsys.readouterr()
    assert run("run", *SAMPLES, "--bundle", out, "--out", tmp_path / "o", "--json") == 0
    clips = json.loads(capsys.readouterr().out)["clips"]
    for clip in clips:
        assert len(clip["coefficients"]) == 50
        assert 110 < clip["measurements_mm"]["face_width"] < 180
        assert clip["attributes"]["face_type"] in ("wide", "slim", "regular")
        rows = (Path(clip["mesh"]).with_suffix(".obj")).read_text().splitlines()
        assert sum(row.startswith("v ") for row in rows) == 26_719
    # Half precision in the bundle costs less than a hundredth of a millimetre a standard deviation.
    stored, exact = Bundle.open(out).morphable, read_face_model(shared / "ict-facekit")
    ones = np.ones(50, np.float32)
    assert np.abs(stored.vertices(ones) - exact.vertices(ones)).max() < 0.05


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(FORMATS) == bundle_verb.FORMATS
    assert run("bundle", "import", "--help") == 0
    assert "{ict,ict-face,bfm2009,bfm2017,flame,gnm,surrey}" in capsys.readouterr().out


class Runs:
    """A pickle that would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.mark)!r}, 'w')",)


def test_what_cannot_be_imported(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, mark = tmp_path / "out.voxface", tmp_path / "mark"
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(pickle.dumps({"v_template": Runs(mark)}))
    mat = files.write_bfm2009(tmp_path / "b.mat", MADE)
    marks = files.write_landmarks(tmp_path / "m.txt", MADE.landmarks)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("do not lose")
    for words, code, reason in (
        (["--face-model", evil], 3, "evil.pkl: this pickle asks to load builtins.eval"),
        (["--face-model", tmp_path / "nowhere"], 3, "no such file"),
        (["--face-model", mat], 3, "give --landmarks"),
        (
            ["--face-model", mat, "--landmarks", tmp_path / "b.mat"],
            3,
            "is a MATLAB file; a text file in UTF-8 is needed",
        ),
        (["--face-model", mat, "--landmarks", marks, "--modes", 0, 0], 3, "no identity modes"),
        (["--face-model", mat, "--landmarks", marks, "--format", "flame"], 3, "is a MATLAB file, not a pickle"),
        (["--face-model", mat, "--landmarks", marks, "--format", "obj"], 2, "invalid choice"),
        (["--face-model", mat, "--landmarks", marks, "--modes", -1, 0], 2, "is less than 0"),
        ([], 2, "one of the arguments --face-model --wen2019 is required"),
        (["--face-model", mat, "--bundle", tmp_path / "none"], 6, "no such bundle"),
    ):
        given = [] if "--bundle" in words else ["--bundle", base]
        assert run("bundle", "import", *words, *given, "--out", out) == code, reason
        captured = capsys.readouterr()
        assert reason in captured.err
        assert captured.out == ""
        assert not out.exists()
    for taken in (precious, precious / "thesis.txt"):
        words = ["--face-model", mat, "--landmarks", marks, "--bundle", base, "--out", taken]
        assert run("bundle", "import", *words) == 2
        assert "is no bundle" in capsys.readouterr().err
    assert (precious / "thesis.txt").read_text() == "do not lose"
    assert not mark.exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_full_disk_leaves_nothing_behind(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = zipfile.ZipFile.writestr

    def fail(self: zipfile.ZipFile, name: Any, data: Any, *rest: Any) -> None:
        if getattr(name, "filename", name) == "mesh.onnx":
            raise OSError(28, "No space left on device")
        real(self, name, data, *rest)

    made = files.write_ict(tmp_path / "ict", MADE)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    out = tmp_path / "deep" / "out.voxface"
    assert run("bundle", "import", "--face-model", made, "--bundle", base, "--out", out) == 3
    assert "No space left on device" in capsys.readouterr().err
    assert list(out.parent.iterdir()) == []
