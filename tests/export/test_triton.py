"""`voxface export --triton`: a repository that Triton's own schema accepts, and a client of it that gives what `run` gives."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tritonclient", reason="tritonclient comes with voxface[dev]")

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.command_line import run
from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.triton_server import read_config, triton_stand_in
from voxface.export.triton_config import TritonModel, text_of
from voxface.export.triton_repository import MANIFEST, TritonSettings, write_repository
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.bundle.engine_entries import EngineEntry, ProfileEntry
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.errors import BundleError, InputError, UsageError

SMALL = ROOT / "tests" / "stored" / "small.voxface"
CLIENT = ROOT / "examples" / "triton_client" / "triton_client.py"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the default bundle."""
    folder = tmp_path_factory.mktemp("triton") / "models"
    assert run("export", "--triton", folder) == 0
    return folder


def test_each_network_is_a_model(repository: Path) -> None:
    bundle = Bundle.open()
    assert {path.name for path in repository.iterdir()} == {MANIFEST, *(f"voxface_{name}" for name in GRAPHS)}
    for name in GRAPHS:
        model = repository / f"voxface_{name}"
        assert set(contents(model)) == {"config.pbtxt", "1/model.onnx"}
        assert (model / "1" / "model.onnx").read_bytes() == bundle.graph(name)
        config = read_config(model)
        assert (config.name, config.backend, config.max_batch_size) == (model.name, "onnxruntime", 8)
        assert config.dynamic_batching.max_queue_delay_microseconds == 2000
        assert [(group.kind, group.count) for group in config.instance_group] == [
            (model_config_pb2.ModelInstanceGroup.KIND_AUTO, 1)
        ]
        assert config.parameters["bundle_sha256"].string_value == bundle.manifest.sha256
        assert config.parameters["precision"].string_value == "float32"
        entry = bundle.manifest.graphs[name]
        for tensors, listed in ((config.input, entry.inputs), (config.output, entry.outputs)):
            assert [tensor.name for tensor in tensors] == list(listed)
            for tensor in tensors:
                shape = listed[tensor.name].spec.shape[1:]
                assert list(tensor.dims) == [-1 if isinstance(length, str) else length for length in shape]
                assert tensor.data_type == model_config_pb2.TYPE_FP32


def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--max-batch", 1, "--instances", 3, "--device", "cpu", "--bundle", SMALL, "--json"]
    assert run("export", "--triton", tmp_path / "m", *words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in document["models"]] == [f"voxface_{name}" for name in GRAPHS]
    config = read_config(tmp_path / "m" / "voxface_encoder")
    assert config.max_batch_size == 1
    assert not config.HasField("dynamic_batching"), "a batch of one waits for nobody"
    assert [(group.kind, group.count) for group in config.instance_group] == [
        (model_config_pb2.ModelInstanceGroup.KIND_CPU, 3)
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give folders of trainings and --out; or --triton DIR"),
        (["--max-batch", "2", "run", "--out", "x.voxface"], "--max-batch: goes with --triton only"),
        (["--triton", "{out}", "--out", "x.voxface"], "--out: does not go with --triton"),
        (["--triton", "{out}", "run"], "RUN: does not go with --triton"),
        (["--triton", "{out}", "--max-batch", "0"], "--max-batch 0: 1 to 4096"),
        (["--triton", "{out}", "--max-delay-us", "-1"], "--max-delay-us -1: 0 to"),
        (["--triton", "{out}", "--instances", "0"], "--instances 0: 1 to"),
    ],
)
def test_what_cannot_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run("export", *(word.format(out=tmp_path / "m") for word in words)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_only_a_repository_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "m"
    export = ["export", "--bundle", SMALL, "--triton", place]
    assert run(*export) == 0
    before = contents(place)
    assert run(*export, "--max-batch", 2) == 2
    assert f"--triton {place}: is there already; choose another name, or replace it with --force" in (
        capsys.readouterr().err
    )
    assert contents(place) == before
    assert run(*export, "--max-batch", 2, "--force") == 0
    assert read_config(place / "voxface_mesh").max_batch_size == 2
    (place / "voxface_mesh" / "labels.txt").write_text("mine")
    assert run(*export, "--force") == 2
    assert "is no Triton repository of voxface, so --force does not replace it" in capsys.readouterr().err
    assert (place / "voxface_mesh" / "labels.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"], "nothing is left beside it"


def test_nothing_is_left_of_one_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the fourth file."""
    write, left = Path.write_bytes, [3]

    def full(path: Path, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left"):
        write_repository(Bundle.open(SMALL), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def with_plans(bundle: Bundle, *plans: tuple[str, str, str], largest: int = 1) -> Bundle:
    """A bundle with made-up plans of its graphs: graph, flavour, target."""
    entries, files = [], {}
    for graph, flavour, target in plans:
        file = f"engines/{graph}-{flavour}-{target}.plan"
        files[file] = f"plan of {graph} for {target}".encode()
        shapes = {
            name: tuple(largest if length == "B" else 1000 if length == "T" else length for length in tensor.spec.shape)
            for name, tensor in bundle.manifest.graphs[graph].inputs.items()
        }
        profile = {name: ProfileEntry(min=shape, opt=shape, max=shape) for name, shape in shapes.items()}
        digest = hashlib.sha256(bundle.graph(graph)).hexdigest()
        entries.append(
            EngineEntry(
                graph=graph, flavour=flavour, version="10.9", targets=(target,), onnx_sha256=digest, profile=profile, file=file
            )
        )  # fmt: skip
    return bundle.replacing(files=files, engines=tuple(entries))


def test_plans_go_along(tmp_path: Path) -> None:
    wanted = [("encoder", "tensorrt", "sm86"), ("encoder", "tensorrt", "sm120"), ("face", "tensorrt-rtx", "sm89")]
    bundle = with_plans(Bundle.open(SMALL), *wanted, largest=4)
    models = write_repository(bundle, tmp_path / "m", TritonSettings(most_at_once=8))
    assert [model.name for model in models][3:] == ["voxface_encoder_tensorrt"], "Triton reads no plans of RTX"
    folder = tmp_path / "m" / "voxface_encoder_tensorrt"
    config = read_config(folder)
    assert (config.backend, config.max_batch_size) == ("tensorrt", 4)
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert dict(config.cc_model_filenames) == {"8.6": "model_sm86.plan", "12.0": "model_sm120.plan"}
    assert config.default_model_filename == "model_sm86.plan"
    assert config.parameters["tensorrt"].string_value == "10.9"
    assert (folder / "1" / "model_sm120.plan").read_bytes() == b"plan of encoder for sm120"
    assert [list(tensor.dims) for tensor in config.input] == [[64, -1]]


def test_a_plan_of_another_graph_stays_behind(tmp_path: Path) -> None:
    bundle = with_plans(Bundle.open(SMALL), ("encoder", "tensorrt", "sm86"))
    (entry,) = bundle.manifest.engines or ()
    entry = replace(entry, onnx_sha256="0" * 64)
    assert len(write_repository(bundle.replacing(engines=(entry,)), tmp_path / "m")) == 3


def test_a_graph_without_an_axis_for_batches() -> None:
    spec = {"x": TensorSpec("float16", (1, 3, "T"))}
    model = TritonModel(
        "m", "onnxruntime", spec, {"y": TensorSpec("int64", ("B",))}, {"model.onnx": b""}, most_at_once=8
    )
    config = text_format.Parse(model.config(), model_config_pb2.ModelConfig())
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert [list(tensor.dims) for tensor in (*config.input, *config.output)] == [[1, 3, -1], [-1]]
    assert config.input[0].data_type == model_config_pb2.TYPE_FP16
    with pytest.raises(BundleError, match="m: x is complex64, which Triton does not have"):
        replace(model, inputs={"x": TensorSpec("complex64", (1,))}).config()


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5))
def test_text_comes_back(name: str, value: str, numbers: list[int]) -> None:
    """Whatever a bundle is called."""
    try:
        name.encode(), value.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which no JSON file of a bundle holds
        return
    document = {
        "name": name,
        "input": [{"name": value, "dims": numbers}],
        "parameters": [{"key": name, "value": {"string_value": value}}],
    }
    config = text_format.Parse(text_of(document), model_config_pb2.ModelConfig())
    assert config.name == name
    assert (config.input[0].name, list(config.input[0].dims)) == (value, numbers)
    assert config.parameters[name].string_value == value


def client(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, CLIENT, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment)


@pytest.mark.slow
def test_a_client_gives_what_run_gives(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By Triton's own client, over HTTP, to a server that runs the repository; and no engine of its own."""
    assert "python examples/triton_client/triton_client.py 127" in CLIENT.read_text()
    assert run("run", SAMPLES[0], "--threads", 1, "--out", tmp_path / "ours", "--json") == 0
    (ours,) = json.loads(capsys.readouterr().out)["clips"]
    with triton_stand_in(repository) as server:
        done = client(server.address, SAMPLES[0], "--json", "--out", tmp_path / "theirs")
        assert done.returncode == 0, done.stderr
        assert {name: len(asked) for name, asked in server.asked.items()} == {f"voxface_{name}": 1 for name in GRAPHS}
        theirs = json.loads(done.stdout)
        for key in ("embedding", "coefficients"):
            np.testing.assert_array_equal(theirs[key], ours[key])
        assert {key: ours[key] for key in theirs} == theirs
        (picture,) = (tmp_path / "ours").rglob("face.png")
        assert (tmp_path / "theirs" / "face.png").read_bytes() == picture.read_bytes()
        other = client(server.address, SAMPLES[0], "--bundle", SMALL)
        assert other.returncode == BundleError.exit_code
        assert "the server has another bundle than" in other.stderr
    gone = client(server.address, SAMPLES[0])
    assert gone.returncode == 5
    assert "start Triton with a repository of voxface export --triton" in gone.stderr
    assert "Traceback" not in gone.stderr + other.stderr


def test_settings_are_checked() -> None:
    with pytest.raises(UsageError, match="--max-batch 5000"):
        TritonSettings(most_at_once=5000)
