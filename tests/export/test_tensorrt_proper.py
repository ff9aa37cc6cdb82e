"""The way of TensorRT proper, on a builder that is played."""

import sys
import types
from pathlib import Path

import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import InputError, ProviderError, UsageError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from tests.stand_ins.tensorrt_builder import FakeBuilder  # noqa: E402
from voxface.export.tensorrt_build import build_bundle  # noqa: E402

pytestmark = pytest.mark.train


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
