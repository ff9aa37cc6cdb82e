"""Engines by TensorRT for RTX, which needs no GPU to build them: for every target, beside others, of graphs that change."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS, MANIFEST
from voxface.runtime.engines.opening import open_graph
from voxface.runtime.errors import ProviderError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from voxface.export.tensorrt_build import build_bundle, target_groups  # noqa: E402

pytestmark = pytest.mark.train


TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")


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


def test_turing_is_apart_and_not_in_the_default() -> None:
    assert target_groups(trt, "tensorrt-rtx", None) == [TARGETS[1:]]
    assert target_groups(trt, "tensorrt-rtx", ["sm120", "sm75", "sm86"]) == [("sm75",), ("sm86", "sm120")]


def test_the_manifest_is_sealed_over_the_engines(built: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    built.write(folder)
    document = json.loads((folder / MANIFEST).read_text())
    document["engines"][0]["targets"] = ["sm90"]
    (folder / MANIFEST).write_text(json.dumps(document))
    assert run("bundle", "verify", folder) == 6
