"""The TensorRT engine of both flavours on a fake GPU, whose surface is held against the real modules."""

import gc
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.fake_gpu import (
    CUDA_FUNCTIONS,
    VERSION,
    CudaError,
    FakeGpu,
    Strategy,
    fake_library,
    fake_plan,
    install,
)
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.manifest import Manifest
from voxface.runtime.bundle.writer import write_folder
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.opening import open_graph
from voxface.runtime.engines.providers import ALL_PROVIDERS
from voxface.runtime.engines.tensorrt import CAPTURED, TensorRTEngine
from voxface.runtime.errors import BundleError, ProviderError, UsageError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.voice_to_face import VoiceToFace

PROFILES = {
    "encoder": {"log_mel": {"min": [1, 64, 1], "opt": [1, 64, 1000], "max": [2, 64, 6272]}},
    "face": {"embedding": {"min": [1, 64], "opt": [1, 64], "max": [4, 64]}},
    "mesh": {"embedding": {"min": [1, 64], "opt": [1, 64], "max": [1, 64]}},
}
FLAVOURS = {"tensorrt": "tensorrt-native", "tensorrt-rtx": "tensorrt-rtx"}
Make = Callable[..., Bundle]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    """A GPU of compute capability 8.6 with both libraries; at the end nothing of it may still be held."""
    gpu = FakeGpu()
    install(gpu, monkeypatch)
    yield gpu
    gpu.fails.clear()
    gc.collect()
    assert not any(gpu.held()), "something was not freed"


@pytest.fixture
def make(default_bundle: Bundle, tmp_path: Path) -> Make:
    """Writes the default bundle with engines of both flavours that the fake libraries read."""

    def write(
        targets: list[str] | None = None, version: str = VERSION, data: bytes | None = None, **changes: Any
    ) -> Bundle:
        chosen = targets or ["sm86", "sm89"]
        files, entries = dict(default_bundle.files), []
        for flavour in FLAVOURS:
            for graph, profile in PROFILES.items():
                onnx, file = default_bundle.graph(graph), f"engines/{flavour}-{graph}.plan"
                files[file] = fake_plan(onnx, profile, chosen) if data is None else data
                entry = {"graph": graph, "flavour": flavour, "version": version, "targets": chosen, "profile": profile}
                entry |= {"file": file, "onnx_sha256": hashlib.sha256(onnx).hexdigest(), **changes}
                entries.append(entry)
        manifest = Manifest.from_json({**default_bundle.manifest.to_json(), "engines": entries})
        write_folder(tmp_path / "bundle", manifest, files)
        return Bundle.open(tmp_path / "bundle")

    return write


def log_mel(frames: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(frames).normal(size=(batch, 64, frames)).astype(np.float32)


def opened(bundle: Bundle, flavour: str, graph: str = "encoder") -> TensorRTEngine:
    engine = open_graph(bundle, graph, FLAVOURS[flavour])
    assert isinstance(engine, TensorRTEngine)
    return engine


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_it_computes_is_what_the_graph_computes(gpu: FakeGpu, make: Make, flavour: str) -> None:
    bundle = make()
    with opened(bundle, flavour) as engine, open_graph(bundle, "encoder") as expected:
        assert engine.provider == FLAVOURS[flavour]
        assert engine.inputs == {"log_mel": TensorSpec("float32", ("B", 64, "T"))} == expected.inputs
        assert engine.outputs == expected.outputs
        for frames, batch in ((1000, 1), (1000, 1), (1000, 1), (320, 2), (1000, 1), (6272, 1), (1, 1), (1000, 1)):
            feeds = {"log_mel": log_mel(frames, batch)}
            got, wanted = engine.run(feeds), expected.run(feeds)
            for name in wanted:
                np.testing.assert_allclose(got[name], wanted[name], atol=1e-6)
        first = engine.run({"log_mel": log_mel(1000)})["embedding"]
        engine.run({"log_mel": log_mel(1000) * 2})
        np.testing.assert_allclose(first, expected.run({"log_mel": log_mel(1000)})["embedding"], atol=1e-6)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shape_runs_plainly_then_in_its_own_context_then_as_a_graph(gpu: FakeGpu, make: Make, flavour: str) -> None:
    with opened(make(), flavour) as engine:
        feeds = {"log_mel": log_mel(500)}
        engine.run(feeds)
        assert (len(gpu.contexts), len(gpu.executables), engine.captured) == (1, 0, [])
        engine.run(feeds)
        assert (len(gpu.contexts), len(gpu.executables), engine.captured) == (2, 1, [((1, 64, 500),)])
        gpu.calls.clear()
        engine.run(feeds)
        assert gpu.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"]
        assert len(gpu.streams) == 1
        assert len(gpu.executed) == 3, "what is captured is not run while it is captured"
        assert not gpu.graphs, "the graph that was instantiated is not kept"


def test_graphs_of_several_shapes_are_bounded_and_the_oldest_goes(gpu: FakeGpu, make: Make) -> None:
    lengths = [100 + 50 * i for i in range(CAPTURED + 2)]
    with opened(make(), "tensorrt-rtx") as engine, open_graph(make(), "encoder") as expected:
        for frames in lengths:
            for _ in range(3):
                engine.run({"log_mel": log_mel(frames)})
        assert engine.captured == [((1, 64, frames),) for frames in lengths[-CAPTURED:]]
        assert len(gpu.executables) == CAPTURED
        for frames in reversed(lengths):
            feeds = {"log_mel": log_mel(frames)}
            np.testing.assert_allclose(engine.run(feeds)["columns"], expected.run(feeds)["columns"], atol=1e-5)


def test_lengths_that_never_repeat_cost_no_context(gpu: FakeGpu, make: Make) -> None:
    with opened(make(), "tensorrt-rtx") as engine:
        for frames in range(200, 240):
            engine.run({"log_mel": log_mel(frames)})
        assert len(gpu.contexts) == 1
        assert engine.captured == []


def test_warm_up_captures_and_rtx_compiles_for_that_shape_only(gpu: FakeGpu, make: Make, cache: Path) -> None:
    with opened(make(), "tensorrt-rtx") as engine:
        engine.warm_up({"T": 1000})
        assert engine.captured == [((1, 64, 1000),)]
        engine.run({"log_mel": log_mel(400)})
        strategies = [c.config.dynamic_shapes_kernel_specialization_strategy for c in gpu.contexts]
        assert strategies == [Strategy.NONE, Strategy.EAGER]
    (kept,) = (cache / "voxface" / "tensorrt-rtx").iterdir()
    assert "1000" in kept.read_text()
    assert "400" not in kept.read_text()
    with opened(make(), "tensorrt-rtx") as engine:
        assert "1000" in str(engine._cache._cache.kernels)
    kept.write_bytes(b"of another driver")
    with opened(make(), "tensorrt-rtx") as engine:
        engine.warm_up({"T": 1000})
    assert "1000" in kept.read_text()


def test_a_cache_folder_that_cannot_be_written_costs_no_result(gpu: FakeGpu, make: Make, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    with opened(make(), "tensorrt-rtx", "face") as engine:
        engine.warm_up()
        assert engine.captured


def test_outputs_are_written_where_they_are_wanted(gpu: FakeGpu, make: Make) -> None:
    with opened(make(), "tensorrt", "face") as engine:
        feeds = {"embedding": np.ones((2, 64), np.float32) / 8}
        expected = engine.run(feeds)["image"]
        for _ in range(3):
            out = np.full((2, 3, 128, 128), np.nan, np.float32)
            assert engine.run(feeds, {"image": out})["image"] is out
            np.testing.assert_array_equal(out, expected)
        for wrong in (np.zeros((1, 3, 128, 128), np.float32), np.zeros((2, 3, 128, 128), np.float64)):
            with pytest.raises(ValueError, match=r"the graph gives float32 \[2, 3, 128, 128\]"):
                engine.run(feeds, {"image": wrong})


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "'log_mel' is missing"),
        ({"log_mel": log_mel(6273)}, r"\[1, 64, 6273\], the engine was built for \[1, 64, 1\] to \[2, 64, 6272\]"),
        ({"log_mel": log_mel(10, 3)}, r"built for \[1, 64, 1\] to \[2, 64, 6272\]; build it with another --profile"),
        ({"log_mel": log_mel(10)[0]}, r"the graph wants float32 \['B', 64, 'T'\]"),
        ({"log_mel": log_mel(10).astype(np.float64)}, "float64"),
    ],
)
def test_wrong_feeds(gpu: FakeGpu, make: Make, feeds: dict[str, np.ndarray], reason: str) -> None:
    with opened(make(), "tensorrt-rtx") as engine, pytest.raises(ValueError, match=reason):
        engine.run(feeds)


def test_an_engine_that_was_left_does_not_touch_its_memory(gpu: FakeGpu, make: Make) -> None:
    with opened(make(), "tensorrt-rtx", "face") as engine:
        engine.warm_up()
    assert not gpu.device
    with pytest.raises(ValueError, match="was left"):
        engine.run({"embedding": np.ones((1, 64), np.float32)})
    engine.__exit__(None, None, None)  # a second time is no error


def test_an_engine_that_is_forgotten_gives_its_memory_back(gpu: FakeGpu, make: Make) -> None:
    engine = opened(make(), "tensorrt", "face")
    engine.warm_up()
    assert gpu.executables
    del engine
    gc.collect()
    assert not any(gpu.held())


def test_what_cannot_be_captured_runs_plainly_and_says_why(gpu: FakeGpu, make: Make) -> None:
    for fail, code in (("capturable", 1), ("cudaStreamEndCapture", int(CudaError.cudaErrorStreamCaptureUnsupported))):
        with opened(make(), "tensorrt-rtx", "face") as engine:
            gpu.fails[fail] = code
            engine.warm_up()
            (why,) = engine.uncaptured.values()
            assert "captured" in why or "cudaErrorStreamCaptureUnsupported" in why
            del gpu.fails[fail]
            for stream in gpu.streams.values():
                stream.capturing = None  # a real stream whose capture failed is not capturing any more
            assert np.isfinite(engine.run({"embedding": np.ones((1, 64), np.float32)})["image"]).all()
            assert engine.captured == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_failures_on_the_device_are_errors_with_their_text(gpu: FakeGpu, make: Make, flavour: str) -> None:
    bundle = make()
    feeds = {"embedding": np.ones((1, 64), np.float32)}
    with opened(bundle, flavour, "face") as engine:
        gpu.fails["execute"] = 1
        with pytest.raises(ProviderError, match=r"face: TensorRT did not run .*kernel went wrong"):
            engine.run(feeds)
        del gpu.fails["execute"]
        gpu.streams[next(iter(gpu.streams))].work.clear()
        gpu.fails["cudaStreamSynchronize"] = int(CudaError.cudaErrorIllegalAddress)
        with pytest.raises(ProviderError, match=r"cudaStreamSynchronize: error 700 .cudaErrorIllegalAddress"):
            engine.run(feeds)
        del gpu.fails["cudaStreamSynchronize"]
        gpu.streams[next(iter(gpu.streams))].work.clear()
    for function in ("cudaMalloc", "cudaMallocHost", "cudaStreamCreateWithFlags"):
        gpu.fails = {function: int(CudaError.cudaErrorMemoryAllocation)}
        with pytest.raises(ProviderError, match=rf"CUDA: {function}: .*cudaErrorMemoryAllocation"):
            opened(bundle, flavour, "face")
    gpu.fails = {"context": 1}
    with pytest.raises(ProviderError, match="no execution context"):
        opened(bundle, flavour, "face")
    gpu.fails = {}


def test_no_driver_an_old_one_and_no_device(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make()
    for gpu, reason in (
        (FakeGpu(driver=0), "no NVIDIA driver on this machine; install it, or use --provider cpu"),
        (FakeGpu(driver=12040), r"driver is for CUDA 12.4, the bindings are of CUDA 13.4; .*'cuda-bindings==12\.\*'"),
        (FakeGpu(devices=0), "CUDA finds no device .*CUDA_VISIBLE_DEVICES"),
    ):
        install(gpu, monkeypatch)
        with pytest.raises(ProviderError, match=reason):
            opened(bundle, "tensorrt-rtx")


def test_libraries_that_are_not_there(make: Make, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make()
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ProviderError, match="pip install cuda-bindings"):
        opened(bundle, "tensorrt-rtx")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(ProviderError, match=r"for TensorRT for RTX .*\btensorrt-rtx\b"):
        opened(bundle, "tensorrt-rtx")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ProviderError, match="TensorRT of this device"):
        opened(bundle, "tensorrt")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_plan_that_does_not_fit_names_the_command_that_builds_it(gpu: FakeGpu, make: Make, flavour: str) -> None:
    bundle = make()
    command = f"voxface build {re.escape(str(bundle.path))} --flavour {flavour} --target sm86"
    with pytest.raises(ProviderError, match=rf"built with {flavour} 1.0, here is {VERSION}; build it anew: {command}"):
        opened(make(version="1.0"), flavour)
    with pytest.raises(ProviderError, match=rf"sm89, .*sm86.*build it anew: {command}|for sm89 .*sm86.*: {command}"):
        opened(make(targets=["sm89"]), flavour)
    with pytest.raises((BundleError, ProviderError), match=rf"(damaged|does not load).*build it anew: {command}"):
        opened(make(data=b"no plan at all"), flavour)
    gpu.fails["deserialize"] = 1
    with pytest.raises(ProviderError, match=rf"does not load \(magic tag.*build it anew: {command}"):
        opened(make(), flavour)
    gpu.fails.clear()
    with pytest.raises(ProviderError, match=rf"built from another graph; .*voxface build .*--flavour {flavour}$"):
        opened(make(onnx_sha256="0" * 64), flavour)


def test_of_several_plans_the_one_that_fits_runs(gpu: FakeGpu, make: Make, tmp_path: Path) -> None:
    bundle = make()
    entries = list(bundle.manifest.engines)
    others = [replace(e, version="0.9") for e in entries] + [replace(e, targets=("sm75",)) for e in entries]
    several = bundle.replacing(engines=(*others, *entries, *others)).write(tmp_path / "several")
    with opened(several, "tensorrt") as engine:
        assert engine._plan.version == VERSION
        assert "sm86" in engine._plan.targets


def test_a_plan_of_another_signature(gpu: FakeGpu, make: Make, default_bundle: Bundle) -> None:
    plan = fake_plan(default_bundle.graph("face"), PROFILES["face"], ["sm86"])
    with pytest.raises(BundleError, match=r"encoder: the engine has 'embedding' .* is not the graph's"):
        opened(make(data=plan), "tensorrt")


@pytest.mark.parametrize(
    "broken", [{"file": "engines/none.plan"}, {"flavour": "tensorflow"}, {"graph": "ear"}, {"profile": 3}]
)
def test_an_entry_that_is_none_makes_the_bundle_invalid(make: Make, broken: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="incomplete or wrong"):
        make(**broken)


def test_providers_are_named_and_no_engine_is_said(default_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no provider 'abacus'; there are " + ", ".join(ALL_PROVIDERS)):
        open_graph(default_bundle, "face", "abacus")
    with pytest.raises(ProviderError, match=r"no engine of flavour 'tensorrt-rtx'; build it: .* --out my.voxface$"):
        open_graph(default_bundle, "face", "tensorrt-rtx")
    assert default_bundle.path == DEFAULT


def test_a_voice_becomes_the_same_face_through_plans(gpu: FakeGpu, make: Make, face_estimator: FaceEstimator) -> None:
    with VoiceToFace(make(), "tensorrt-rtx") as fast:
        assert fast.provider == "tensorrt-rtx"
        speech, estimate = fast.estimate_file(SAMPLES[1])
    expected = face_estimator.estimate(speech)
    np.testing.assert_allclose(estimate.embedding, expected.embedding, atol=1e-6)
    np.testing.assert_allclose(estimate.vertices, expected.vertices, atol=1e-4)
    assert np.abs(estimate.image.astype(int) - expected.image).max() <= 1


def test_engines_that_are_open_are_freed_when_the_next_one_does_not_open(gpu: FakeGpu, make: Make) -> None:
    bundle = make()
    files = {**bundle.files, "engines/tensorrt-mesh.plan": b"broken"}
    broken = Bundle(bundle.path, bundle.manifest, files)
    with pytest.raises(ProviderError, match="mesh: the engine does not load"):
        FaceEstimator(broken, "tensorrt-native")
    assert not gpu.device


def test_the_fake_cuda_has_the_real_surface() -> None:
    pytest.importorskip("cuda.bindings", reason="cuda-bindings comes with voxface[tensorrt-rtx]")
    from cuda.bindings import runtime

    for name, arguments in CUDA_FUNCTIONS.items():
        line = (getattr(runtime, name).__doc__ or "").splitlines()[0]
        given = re.fullmatch(rf"{name}\((.*)\)", line)
        assert given, line
        assert len([part for part in given[1].split(",") if part.strip()]) == arguments, line
    fake = FakeGpu().runtime_module()
    for enum_name in ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr"):
        for member in getattr(fake, enum_name):
            assert int(getattr(getattr(runtime, enum_name), member.name)) == int(member)
    assert int(runtime.cudaStreamNonBlocking) == 1
    # A function that fails gives as many values as one that does not, which is what `Cuda.call` unpacks.
    answers = runtime.cudaGetDeviceCount(), runtime.cudaDriverGetVersion()
    assert [len(answer) for answer in answers] == [2, 2]
    if answers[1][1]:
        return
    # Without a driver every call fails, but not before its arguments were taken: addresses and handles as integers.
    stream, graph = runtime.cudaStream_t(0), runtime.cudaGraph_t(0)
    assert int(stream) == 0
    arguments_of: dict[str, tuple[Any, ...]] = {
        "cudaMallocHost": (8,),
        "cudaMalloc": (8,),
        "cudaFreeHost": (4096,),
        "cudaFree": (4096,),
        "cudaMemcpyAsync": (4096, 8192, 4, runtime.cudaMemcpyKind.cudaMemcpyHostToDevice, stream),
        "cudaStreamCreateWithFlags": (runtime.cudaStreamNonBlocking,),
        "cudaStreamSynchronize": (stream,),
        "cudaStreamBeginCapture": (stream, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal),
        "cudaStreamEndCapture": (stream,),
        "cudaGraphInstantiate": (graph, 0),
        "cudaGraphLaunch": (runtime.cudaGraphExec_t(0), stream),
        "cudaDeviceGetAttribute": (runtime.cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor, 0),
    }
    playing = FakeGpu()
    for name, given in arguments_of.items():
        error, *values = getattr(runtime, name)(*given)
        assert int(error) == CudaError.cudaErrorInsufficientDriver
        playing.fails[name] = int(error)
        assert len(values) == len(getattr(playing.runtime_module(), name)(*given)) - 1, name


def test_the_fake_tensorrt_has_the_real_surface() -> None:
    real = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]")
    fake = fake_library(FakeGpu(), rtx=True)
    attributes = {"num_io_tensors", "dynamic_shapes_kernel_specialization_strategy"}
    own = {"compute", "profile", "cache", "kernels", "engine", "config"}
    for class_name in ("Runtime", "ICudaEngine", "IExecutionContext", "IRuntimeConfig", "IRuntimeCache", "ILogger"):
        theirs, ours = getattr(real, class_name), getattr(fake, class_name)
        for name in [n for n in dir(ours) if not n.startswith("_") and n not in own and n != "Severity"]:
            assert hasattr(theirs, name), f"{class_name}.{name}"
            if name in attributes:
                continue
            code = getattr(ours, name).__code__
            wanted = list(code.co_varnames[1 : code.co_argcount])
            text = getattr(theirs, name).__doc__ or ""
            signatures = [re.findall(r"(\w+):", found) for found in re.findall(rf"{name}\((self: .*)\) ->", text)]
            assert any(set(wanted) <= set(found) for found in signatures), (class_name, name, wanted, text[:300])
    assert hasattr(real.ICudaEngine, "num_io_tensors")
    assert hasattr(real.IRuntimeConfig, "dynamic_shapes_kernel_specialization_strategy")
    pairs = {
        "TensorIOMode": fake.TensorIOMode,
        "EngineValidity": fake.EngineValidity,
        "EngineInvalidityDiagnostics": fake.EngineInvalidityDiagnostics,
        "DynamicShapesKernelSpecializationStrategy": fake.DynamicShapesKernelSpecializationStrategy,
        "DataType": fake.DataType,
    }
    for name, members in pairs.items():
        for member in members:
            assert int(getattr(real, name).__members__[member.name]) == int(member), (name, member)
    assert np.dtype(real.nptype(real.DataType.FLOAT)) == np.float32
