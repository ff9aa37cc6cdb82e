"""`voxface build`: real engines by TensorRT for RTX, which needs no GPU for it, and the way of TensorRT proper on a fake."""

import hashlib
import json
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.manifest import GRAPHS, MANIFEST, TensorEntry
from voxface.runtime.engines.opening import open_engine, open_graph
from voxface.runtime.errors import InputError, ProviderError, UsageError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from voxface.export import tensorrt_build  # noqa: E402
from voxface.export.optimisation_profile import DimensionRange, input_shapes, read_range  # noqa: E402
from voxface.export.tensorrt_build import build_bundle, target_groups  # noqa: E402
from voxface.onnx_graph.graph import Graph  # noqa: E402
from voxface.onnx_graph.passes.tensorrt_repairs import (  # noqa: E402
    is_grouped_fp16_convolution,
    is_matrix_product,
    products_as_convolutions,
)

pytestmark = pytest.mark.train
TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")


def contents(path: Path) -> dict[str, bytes]:
    """Every file under a folder, and of the folder it is in, so that leftovers show."""
    return {str(p.relative_to(path.parent)): p.read_bytes() for p in path.parent.rglob("*") if p.is_file()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the default bundle to build in."""
    return Path(shutil.copytree(DEFAULT, tmp_path / "here" / "bundle"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The default bundle with engines for every target."""
    out = tmp_path_factory.mktemp("built") / "all.voxface"
    build_bundle(Bundle.open(), out, "tensorrt-rtx", TARGETS)
    return Bundle.open(out)


def test_every_graph_for_every_target(built: Bundle) -> None:
    entries = built.manifest.engines
    assert {(entry.graph, entry.targets) for entry in entries} == {
        (graph, targets) for graph in GRAPHS for targets in (TARGETS[:1], TARGETS[1:])
    }
    for entry in entries:
        data = built.files[entry.file]
        assert entry.file.startswith("engines/")
        assert entry.size == len(data) > 100_000
        assert built.manifest.files[entry.file].sha256 == hashlib.sha256(data).hexdigest()
        assert entry.onnx_sha256 == hashlib.sha256(built.graph(entry.graph)).hexdigest()
        assert entry.version == trt.__version__
        assert entry.precision == ("float32",)
    encoder = next(entry for entry in entries if entry.graph == "encoder")
    assert encoder.to_json()["profile"] == {"log_mel": {"min": [1, 64, 1], "opt": [1, 64, 1000], "max": [1, 64, 6272]}}
    # Turing has no FP32 matrix product in this library: the mesh network's are built as convolutions, and it is said.
    changes = {(entry.graph, entry.targets[0]): entry.changes for entry in entries if entry.changes}
    assert list(changes) == [("mesh", "sm75")]
    (change,) = changes["mesh", "sm75"]
    assert change.what == "FP32 matrix products as 1×1 convolutions"
    assert change.nodes == ("node_linear", "node_linear_1", "node_linear_2", "node_linear_3")
    assert "FP32 GEMM is not supported" in change.because


def test_nothing_else_of_the_bundle_changes(built: Bundle, default_bundle: Bundle) -> None:
    left_out = ("engines", "files", "sha256")
    assert {k: v for k, v in built.manifest.to_json().items() if k not in left_out} == {
        k: v for k, v in default_bundle.manifest.to_json().items() if k not in left_out
    }
    assert {name: data for name, data in built.files.items() if not name.startswith("engines/")} == default_bundle.files


@pytest.mark.slow
def test_full_size_networks(tmp_path: Path, default_bundle: Bundle) -> None:
    torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from voxface.export.onnx_export import embedding_spec, encoder_spec, to_onnx
    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

    torch.manual_seed(0)
    files = {}
    networks = {
        "encoder": (VoiceEncoder(), encoder_spec()),
        "face": (FaceGenerator(channels=(1024, 512, 256, 128, 64)), embedding_spec("image")),
        "mesh": (MeshRegressor(50), embedding_spec("coefficients")),
    }
    for name, (network, spec) in networks.items():
        files[f"{name}.onnx"], _ = to_onnx(network.eval(), spec)
    default_bundle.replacing(files=files).write(tmp_path / "full")
    bundle, engines = build_bundle(Bundle.open(tmp_path / "full"), tmp_path / "out", "tensorrt-rtx", TARGETS)
    sizes = {(e.entry.graph, e.entry.targets[0]): e.entry.size for e in engines}
    assert sizes["face", "sm80"] > 45e6  # 12.2 M weights of 4 bytes
    assert sizes["face", "sm75"] > 45e6
    assert len(bundle.plans) == 6


def test_a_plan_without_a_driver_is_exit_code_5_and_says_what_to_do(
    built: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cuda.bindings", reason="cuda-bindings comes with voxface[tensorrt-rtx]")
    from cuda.bindings import runtime

    if runtime.cudaDriverGetVersion()[1]:
        pytest.skip("this machine has an NVIDIA driver")
    words = ("run", SAMPLES[0], "--bundle", built.path, "--out", tmp_path / "out", "--provider", "tensorrt-rtx")
    assert run(*words) == 5
    assert "no NVIDIA driver on this machine; install it, or use --provider cpu" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ProviderError, match="no NVIDIA driver"):
        open_graph(built, "face", "tensorrt-rtx")


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


def test_of_two_builds_at_the_same_time_both_count(copy: Path, tmp_path: Path) -> None:
    """Both read the bundle before either writes it; one has the fused graph too."""
    for out in (tmp_path / "new.voxface", copy):
        one, other = Bundle.open(copy), Bundle.open(copy)
        build_bundle(one, out, "tensorrt-rtx", ["sm86"], fused=True)
        build_bundle(other, out, "tensorrt-rtx", ["sm89"])
        targets = sorted((plan.graph, plan.targets) for plan in Bundle.open(out).plans)
        graphs = ("encoder", "face", "mesh")
        expected = [(graph, (target,)) for graph in graphs for target in ("sm86", "sm89")]
        assert targets == sorted([*expected, ("fused", ("sm86",))])
        build_bundle(Bundle.open(out), out, "tensorrt-rtx", ["sm75"], only=True)
        assert {plan.targets for plan in Bundle.open(out).plans} == {("sm75",)}


def test_engines_of_a_graph_that_changed_go(built: Bundle, tmp_path: Path) -> None:
    model = onnx.load_from_string(built.graph("mesh"))
    model.producer_name = "changed"
    built.replacing(files={"mesh.onnx": model.SerializeToString()}).write(tmp_path / "changed")
    bundle, _ = build_bundle(Bundle.open(tmp_path / "changed"), tmp_path / "changed", "tensorrt-rtx", ["sm86"])
    assert sorted(plan.targets for plan in bundle.plans if plan.graph == "mesh") == [("sm86",)]
    assert len([plan for plan in bundle.plans if plan.graph == "face"]) == 3


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


def test_a_graph_that_is_refused_gives_tensorrts_reason(default_bundle: Bundle, tmp_path: Path) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    node = helper.make_node("NoSuchOperator", ["embedding"], ["coefficients"], name="odd")
    values = [helper.make_tensor_value_info(n, kinds.FLOAT, ["B", 64]) for n in ("embedding", "coefficients")]
    graph = helper.make_graph([node], "odd", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    default_bundle.replacing(files={"mesh.onnx": model}).write(tmp_path / "odd")
    with pytest.raises(InputError, match=r"mesh for sm86: tensorrt-rtx .* refuses the graph: .*NoSuchOperator"):
        build_bundle(Bundle.open(tmp_path / "odd"), tmp_path / "out", "tensorrt-rtx", ["sm86"])
    assert not (tmp_path / "out").exists()


def half_grouped_graph() -> bytes:
    """An encoder that is one FP16 depthwise convolution: log_mel -> embedding."""
    helper, kinds, rng = onnx.helper, onnx.TensorProto, np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(rng.normal(size=(64, 1, 3)).astype(np.float16), "w")
    bias = onnx.numpy_helper.from_array(rng.normal(size=64).astype(np.float16), "b")
    nodes = [
        helper.make_node("Cast", ["log_mel"], ["x"], to=kinds.FLOAT16),
        helper.make_node("Conv", ["x", "w", "b"], ["y"], name="depthwise", group=64, kernel_shape=[3], pads=[1, 1]),
        helper.make_node("Cast", ["y"], ["columns"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["columns"], ["embedding"], keepdims=0, axes=[2]),
    ]
    graph = helper.make_graph(
        nodes,
        "depthwise",
        [helper.make_tensor_value_info("log_mel", kinds.FLOAT, ["B", 64, "T"])],
        [
            helper.make_tensor_value_info("embedding", kinds.FLOAT, ["B", 64]),
            helper.make_tensor_value_info("columns", kinds.FLOAT, ["B", 64, "T"]),
        ],
        [weights, bias],
    )
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()
    return data


def test_grouped_half_convolutions_that_are_refused_are_built_in_single_precision(
    default_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused as TensorRT 11.2.1 refuses them; this library builds them, so the refusal is played."""
    graph = half_grouped_graph()
    real = tensorrt_build._build
    repaired: list[bytes] = []

    def build(trt: Any, data: bytes, *rest: Any) -> Any:
        if data == graph:
            raise tensorrt_build._RefusedError("no implementation for depthwise")
        repaired.append(data)
        return real(trt, data, *rest)

    monkeypatch.setattr(tensorrt_build, "_build", build)
    default_bundle.replacing(files={"encoder.onnx": graph}).write(tmp_path / "half")
    _, engines = build_bundle(Bundle.open(tmp_path / "half"), tmp_path / "out", "tensorrt-rtx", ["sm86"])
    (change,) = engines[0].entry.changes
    assert change.to_json() == {
        "what": "grouped FP16 convolutions in FP32",
        "nodes": ["depthwise"],
        "because": "no implementation for depthwise",
    }
    assert engines[0].entry.precision == ("float32",)
    x = np.random.default_rng(1).normal(size=(1, 64, 50)).astype(np.float32)
    with open_engine(graph) as before, open_engine(repaired[0]) as after:
        np.testing.assert_allclose(
            after.run({"log_mel": x})["columns"], before.run({"log_mel": x})["columns"], atol=0.02
        )
    monkeypatch.setattr(tensorrt_build, "_build", real)
    _, engines = build_bundle(Bundle.open(tmp_path / "half"), tmp_path / "out", "tensorrt-rtx", ["sm86"])
    assert engines[0].entry.precision == ("float16",)
    assert engines[0].entry.changes == ()


def test_quantised_convolutions_are_said_to_be_int8(default_bundle: Bundle, tmp_path: Path) -> None:
    helper, kinds, rng = onnx.helper, onnx.TensorProto, np.random.default_rng(0)
    constants = {
        "scale": np.float32(0.05),
        "zero": np.int8(0),
        "weights": rng.integers(-127, 128, (50, 64, 1), np.int8),
        "scales": np.full(50, 0.01, np.float32),
        "zeros": np.zeros(50, np.int8),
        "axis": np.array([2]),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["embedding", "axis"], ["x"]),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["w"], axis=0),
        helper.make_node("Conv", ["d", "w"], ["y"], kernel_shape=[1]),
        helper.make_node("Squeeze", ["y", "axis"], ["coefficients"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("embedding", kinds.FLOAT, ["B", 64])],
        [helper.make_tensor_value_info("coefficients", kinds.FLOAT, ["B", 50])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    default_bundle.replacing(files={"mesh.onnx": model}).write(tmp_path / "int8")
    _, engines = build_bundle(Bundle.open(tmp_path / "int8"), tmp_path / "out", "tensorrt-rtx", ["sm86"])
    assert [engine.entry.precision for engine in engines] == [("float32",), ("float32",), ("int8",)]


def test_products_as_convolutions_are_the_same_sums(default_bundle: Bundle) -> None:
    whole = Graph.from_bytes(default_bundle.graph("mesh"))
    names = [node.name for node in whole.nodes if is_matrix_product(whole, node)]
    assert names == ["node_linear", "node_linear_1", "node_linear_2", "node_linear_3"]
    graph = products_as_convolutions(whole, names).to_bytes()
    feeds = {"embedding": np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)}
    with open_engine(default_bundle.graph("mesh")) as before, open_engine(graph) as after:
        assert after.inputs == before.inputs
        expected = before.run(feeds)["coefficients"]
        np.testing.assert_allclose(after.run(feeds)["coefficients"], expected, atol=1e-5 * np.abs(expected).max())
    for name in ("encoder", "face"):  # nothing to do there
        whole = Graph.from_bytes(default_bundle.graph(name))
        assert [node.name for node in whole.nodes if is_matrix_product(whole, node)] == []
        assert [node.name for node in whole.nodes if is_grouped_fp16_convolution(whole, node)] == []


def test_profiles() -> None:
    inputs = {
        "x": TensorEntry(dtype="float32", shape=("B", 64, "T")),
        "y": TensorEntry(dtype="float32", shape=(3,)),
    }
    ranges = {"B": DimensionRange(1, 1, 2), "T": DimensionRange(5, 6, 7)}
    assert {name: shapes.to_json() for name, shapes in input_shapes(inputs, ranges).items()} == {
        "x": {"min": [1, 64, 5], "opt": [1, 64, 6], "max": [2, 64, 7]},
        "y": {"min": [3], "opt": [3], "max": [3]},
    }
    with pytest.raises(UsageError, match="dimension 'K'; give its lengths: --profile K=1,1,1"):
        input_shapes({"x": TensorEntry(dtype="float32", shape=("K",))}, ranges)
    assert read_range("T=1,2,3") == ("T", DimensionRange(1, 2, 3))


def test_turing_is_apart_and_not_in_the_default() -> None:
    assert target_groups(trt, "tensorrt-rtx", None) == [TARGETS[1:]]
    assert target_groups(trt, "tensorrt-rtx", ["sm120", "sm75", "sm86"]) == [("sm75",), ("sm86", "sm120")]


class FakeBuilder:
    """TensorRT proper's builder as far as a build touches it; `said` is what was done to it."""

    def __init__(self, generation: int, plans: Callable[[], Any]) -> None:
        self.said: list[Any] = []
        said = self.said

        class Severity:
            INTERNAL_ERROR, ERROR = 0, 1

        class ILogger:
            def __init__(self) -> None: ...

        ILogger.Severity = Severity  # type: ignore[attr-defined]
        flags = {"TF32": "TF32", **({"FP16": "FP16"} if generation == 10 else {})}

        class Cache:
            def __init__(self, data: bytes) -> None:
                self.data = data

            def serialize(self) -> bytes:
                return self.data + b"measured "

        class Config:
            def clear_flag(self, flag: str) -> None:
                said.append(("clear", flag))

            def set_flag(self, flag: str) -> None:
                said.append(("set", flag))

            def add_optimization_profile(self, profile: Any) -> int:
                return 0

            def create_timing_cache(self, data: bytes) -> Cache:
                said.append(("timings", data))
                return Cache(data)

            def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
                self.cache = cache
                return not ignore_mismatch

            def get_timing_cache(self) -> Cache:
                return self.cache

        class Builder:
            def __init__(self, log: Any) -> None:
                self.log = log

            def create_network(self, flags: int) -> Any:
                said.append(("network", flags))
                return types.SimpleNamespace(num_layers=0)

            def create_builder_config(self) -> Config:
                return Config()

            def create_optimization_profile(self) -> Any:
                return types.SimpleNamespace(set_shape=lambda *shapes: said.append(("shape", *shapes)))

            def build_serialized_network(self, network: Any, config: Any) -> Any:
                data = plans()
                if data is None:
                    self.log.log(Severity.ERROR, "Error Code 10:\n no implementation")
                return data

        self.module = types.ModuleType("tensorrt")
        parser = types.SimpleNamespace(parse=lambda data: True, num_errors=0)
        typed = {"STRONGLY_TYPED": 1} if generation == 10 else {}
        for name, value in {
            "__version__": f"{generation}.13.0",
            "ILogger": ILogger,
            "Builder": Builder,
            "OnnxParser": lambda network, log: parser,
            "NetworkDefinitionCreationFlag": types.SimpleNamespace(**typed),
            "BuilderFlag": types.SimpleNamespace(**flags),
            "LayerType": types.SimpleNamespace(CONVOLUTION=0, DECONVOLUTION=1, MATRIX_MULTIPLY=2, DEQUANTIZE=3),
            "DataType": types.SimpleNamespace(FLOAT=0, HALF=1, INT8=2),
        }.items():
            setattr(self.module, name, value)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an sm87 GPU (Orin)."""
    monkeypatch.setattr("voxface.runtime.engines.cuda_memory.Cuda", lambda: types.SimpleNamespace(target="sm87"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("generation", [10, 11])
def test_tensorrt_proper_builds_for_the_device_strongly_typed_and_remembers_timings(
    device: None, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    fake = FakeBuilder(generation, lambda: b"a plan")
    monkeypatch.setitem(sys.modules, "tensorrt", fake.module)
    bundle, engines = build_bundle(Bundle.open(copy), tmp_path / "out", "tensorrt")
    assert [engine.entry.targets for engine in engines] == [("sm87",)] * 3
    assert {said for said in fake.said if said[0] == "network"} == {("network", 2 if generation == 10 else 0)}
    assert {said for said in fake.said if said[0] in ("set", "clear")} == {("clear", "TF32")}
    assert ("shape", "log_mel", [1, 64, 1], [1, 64, 1000], [1, 64, 6272]) in fake.said
    assert [said[1] for said in fake.said if said[0] == "timings"] == [b"", b"measured ", b"measured measured "]
    (kept,) = (tmp_path / "cache" / "voxface" / "engines").iterdir()
    assert kept.name == f"tensorrt-{generation}.13.0-sm87.timing"
    assert len(bundle.plans) == 3
    with pytest.raises(
        UsageError, match=r"--target sm86: .* builds for sm87 \(it builds for the GPU of this machine only\)"
    ):
        build_bundle(Bundle.open(copy), tmp_path / "out", "tensorrt", ["sm86"])


def test_what_tensorrt_proper_logs_is_in_the_error(
    device: None, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", FakeBuilder(10, lambda: None).module)
    with pytest.raises(InputError, match=r"encoder for sm87: .* refuses the graph: Error Code 10: no implementation"):
        build_bundle(Bundle.open(copy), tmp_path / "out", "tensorrt")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "voxface.onnx_graph.passes.tensorrt_repairs")
    with pytest.raises(ProviderError, match="pip install onnx, then build again"):
        build_bundle(Bundle.open(copy), tmp_path / "out", "tensorrt")


def test_the_manifest_is_sealed_over_the_engines(built: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    built.write(folder)
    document = json.loads((folder / MANIFEST).read_text())
    document["engines"][0]["targets"] = ["sm90"]
    (folder / MANIFEST).write_text(json.dumps(document))
    assert run("bundle", "verify", folder) == 6
