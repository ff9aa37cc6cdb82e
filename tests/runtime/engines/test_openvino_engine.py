"""The engine interface on OpenVINO: every output against ONNX Runtime's CPU provider, and nothing done otherwise than asked."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines import openvino as engine_module
from voxface.runtime.engines import openvino_library
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.engines.providers import OPENVINO_PROVIDERS
from voxface.runtime.errors import BundleError, ProviderError, UsageError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.install_advice import how_to_install

# Not `importorskip`: importing it here, before ours, would send telemetry.
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino comes with voxface[openvino]")
LENGTHS = (160, 321, 1000, 1000, 321)  # also one that comes again


@pytest.fixture(scope="module")
def engines(default_bundle: Bundle) -> Iterator[dict[str, tuple[Engine, Engine]]]:
    """Each graph on both."""
    both = {
        name: tuple(open_engine(default_bundle.graph(name), provider, threads=1) for provider in ("openvino", "cpu"))
        for name in GRAPHS
    }
    yield both  # type: ignore[misc]
    for pair in both.values():
        for engine in pair:
            engine.__exit__(None, None, None)


def feeds_of(engine: Engine, clips: int, frames: int) -> dict[str, Any]:
    random = np.random.default_rng(frames)
    sizes = {"B": clips, "T": frames}
    return {
        name: random.normal(size=[n if isinstance(n, int) else sizes[n] for n in spec.shape]).astype(np.float32)
        for name, spec in engine.inputs.items()
    }


@needs_openvino
@pytest.mark.parametrize("name", GRAPHS)
def test_every_output_is_that_of_the_cpu_engine(engines: dict[str, tuple[Engine, Engine]], name: str) -> None:
    one, other = engines[name]
    assert (one.provider, other.provider) == ("openvino", "cpu")
    assert one.inputs == other.inputs
    assert {key: (spec.dtype, len(spec.shape)) for key, spec in one.outputs.items()} == {
        key: (spec.dtype, len(spec.shape)) for key, spec in other.outputs.items()
    }
    for clips in (1, 3, 1):
        for frames in LENGTHS:
            feeds = feeds_of(one, clips, frames)
            found, expected = one.run(feeds), other.run(feeds)
            assert list(found) == list(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, atol=2e-5 * max(1, np.abs(value).max()))
    one.warm_up({"T": 320})


@needs_openvino
def test_outputs_are_written_where_they_are_wanted(engines: dict[str, tuple[Engine, Engine]]) -> None:
    engine, _ = engines["encoder"]
    feeds = feeds_of(engine, 1, 321)
    expected = engine.run(feeds)
    columns = np.zeros_like(expected["columns"])
    result = engine.run(feeds, {"columns": columns})
    assert result["columns"] is columns
    np.testing.assert_array_equal(columns, expected["columns"])
    np.testing.assert_array_equal(result["embedding"], expected["embedding"])
    kept = expected["embedding"].copy()
    engine.run(feeds_of(engine, 1, 400))
    np.testing.assert_array_equal(expected["embedding"], kept, "a later run leaves earlier results alone")


@needs_openvino
@pytest.mark.parametrize(
    ("feeds", "out", "why"),
    [
        ({}, {}, "'embedding' is missing"),
        ({"embedding": np.zeros((1, 63), np.float32)}, {}, r"float32 \[1, 63\], the graph wants float32 \['B', 64\]"),
        ({"embedding": np.zeros((1, 64))}, {}, "float64"),
        ({"embedding": np.zeros((1, 64), np.float32)}, {"image": np.zeros((1, 3, 32, 32), np.float32)}, "graph wants"),
        (
            {"embedding": np.zeros((1, 64), np.float32)},
            {"image": np.zeros((2, 3, 128, 128), np.float32)},
            "graph gives",
        ),
        (
            {"embedding": np.zeros((1, 64), np.float32)},
            {"image": np.zeros((1, 128, 128, 3), np.float32).transpose(0, 3, 1, 2)},
            "not contiguous",
        ),
    ],
)
def test_wrong_arrays(
    engines: dict[str, tuple[Engine, Engine]], feeds: dict[str, Any], out: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        engines["face"][0].run(feeds, out)


@needs_openvino
def test_threads_and_precision_are_what_was_asked_for(default_bundle: Bundle) -> None:
    for threads, expected in ((None, 1), (1, 1), (2, 2)):
        with open_engine(default_bundle.graph("mesh"), "openvino", threads=threads) as engine:
            assert isinstance(engine, engine_module.OpenVinoEngine)
            (request,) = engine._requests.values()
            compiled = request.get_compiled_model()
            assert compiled.get_property("INFERENCE_NUM_THREADS") == min(expected, 2)
            assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
            assert compiled.get_property("ENABLE_CPU_PINNING") is False
            assert engine_module._multiplies_in(compiled, "f32")
            assert not engine_module._multiplies_in(compiled, "bf16")
    with pytest.raises(UsageError, match="0 threads"):
        open_engine(default_bundle.graph("mesh"), "openvino", threads=0)


@needs_openvino
def test_bf16_is_bf16_or_an_error(default_bundle: Bundle) -> None:
    """OpenVINO itself would compute in FP32 and say nothing."""
    can = "BF16" in openvino_library.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not can:
        with pytest.raises(
            ProviderError, match="asked for bf16, OpenVINO computes in f32 on this CPU; use --provider ope"
        ):
            open_engine(default_bundle.graph("face"), "openvino-bf16")
        return
    unit = np.full((1, 64), 0.125, np.float32)
    with (
        open_engine(default_bundle.graph("face"), "openvino-bf16") as half,
        open_engine(default_bundle.graph("face")) as full,
    ):
        difference = np.abs(half.run({"embedding": unit})["image"] - full.run({"embedding": unit})["image"]).max()
        assert 1e-5 < difference < 0.1


@needs_openvino
@pytest.mark.parametrize("provider", [name for name, (device, _) in OPENVINO_PROVIDERS.items() if device != "CPU"])
def test_a_device_that_is_not_there_is_an_error_with_the_cure(default_bundle: Bundle, provider: str) -> None:
    device = OPENVINO_PROVIDERS[provider][0]
    if any(str(found).startswith(device) for found in openvino_library.core().available_devices):
        pytest.skip(f"this machine has an OpenVINO {device}")
    with pytest.raises(ProviderError, match=f"finds no {device} .it has CPU.*; install the driver of the {device}"):
        open_engine(default_bundle.graph("face"), provider)


@needs_openvino
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"EXECUTION_DEVICES": ["GPU.0"]}, "asked for CPU, OpenVINO uses GPU; use --provider cpu"),
        ({"EXECUTION_DEVICES": []}, "uses no device"),
        (
            {"INFERENCE_PRECISION_HINT": "bf16"},
            "asked for f32, OpenVINO computes in bf16 on this CPU; use --provider cpu",
        ),
    ],
)
def test_another_device_or_precision_is_an_error(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], why: str
) -> None:
    real = openvino_library.core()

    class Compiled:
        def get_property(self, name: str) -> Any:
            value = {"EXECUTION_DEVICES": ["CPU"], "INFERENCE_PRECISION_HINT": "f32", **said}[name]
            return SimpleNamespace(to_string=lambda: value) if isinstance(value, str) else value

    fake = SimpleNamespace(
        read_model=real.read_model, compile_model=lambda *_: Compiled(), get_property=real.get_property
    )
    monkeypatch.setattr(engine_module, "core", lambda: fake)
    with pytest.raises(ProviderError, match=re.escape(why)):
        open_engine(default_bundle.graph("mesh"), "openvino", name="mesh")


@needs_openvino
def test_graphs_that_are_none(default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
    with pytest.raises(BundleError, match="face: the graph is refused"):
        open_engine(b"no graph", "openvino", name="face")
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", 1, ["B", 4]), helper.make_tensor_value_info("y", 1, ["B", 4])
    made = helper.make_graph([helper.make_node("Unheard", ["x"], ["y"], domain="of")], "g", [value[0]], [value[1]])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("of", 1)]
    data = helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString()
    with pytest.raises(
        ProviderError, match=r"mesh: OpenVINO [\d.]+ refuses the graph on CPU: .*Unheard.*; use --provider cpu"
    ):
        open_engine(data, "openvino", name="mesh")
    with open_engine(default_bundle.graph("mesh"), "openvino", name="mesh") as engine:
        assert isinstance(engine, engine_module.OpenVinoEngine)
        broken = SimpleNamespace(set_input_tensor=lambda *_: None, infer=lambda: 1 / 0)
        monkeypatch.setattr(engine, "_request", lambda _: broken)
        with pytest.raises(BundleError, match="mesh: the graph failed on CPU: division by zero"):
            engine.warm_up()


@needs_openvino
def test_on_an_npu_every_shape_has_a_network_of_its_own(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An NPU takes fixed lengths alone; here the CPU plays its part."""
    real, asked = openvino_library.core(), []

    def compile_model(model: Any, device: str, config: dict[str, Any]) -> Any:
        asked.append(" ".join(str(port.partial_shape) for port in model.inputs))
        assert device == "NPU"
        assert config["NPU_BYPASS_UMD_CACHING"] is True
        compiled = real.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        told = {"EXECUTION_DEVICES": ["NPU"], "INFERENCE_PRECISION_HINT": SimpleNamespace(to_string=lambda: "f16")}
        return SimpleNamespace(get_property=told.get, create_infer_request=compiled.create_infer_request)

    fake = SimpleNamespace(
        read_model=real.read_model,
        compile_model=compile_model,
        get_property=lambda *_: ["NPU_BYPASS_UMD_CACHING"],
        available_devices=["NPU"],
    )
    monkeypatch.setattr(engine_module, "core", lambda: fake)
    monkeypatch.setattr(openvino_library, "core", lambda: fake)
    monkeypatch.setattr(engine_module, "check_device", lambda _: None)
    with open_engine(default_bundle.graph("encoder"), "openvino-npu") as engine:
        assert asked == []
        for frames in (160, 320, 160, 480, 640, 800, 160):
            engine.run({"log_mel": np.zeros((1, 64, frames), np.float32)})
        assert asked == [f"[1,64,{frames}]" for frames in (160, 320, 480, 640, 800, 160)], "four are kept"
    with open_engine(default_bundle.graph("mesh"), "openvino-npu"):
        assert asked[-1] == "[1,64]", "nothing is left open of it"


def test_without_the_library_it_is_an_error_with_the_cure(
    default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    openvino_library.core.cache_clear()
    try:
        with pytest.raises(ProviderError, match=f"OpenVINO is not installed; {re.escape(how_to_install('openvino'))}"):
            open_engine(default_bundle.graph("face"), "openvino")
        assert run("run", SAMPLES[0], "--provider", "openvino", "--out", tmp_path / "out") == 5
        assert how_to_install("openvino") in capsys.readouterr().err
        assert run("run", SAMPLES[0], "--out", tmp_path / "out") == 0, "everything else works without it"
    finally:
        openvino_library.core.cache_clear()


@needs_openvino
def test_import_loads_no_telemetry_and_leaves_it_barred() -> None:
    code = """
import sys
from voxface.runtime.engines.openvino_library import core
from voxface.runtime.engines.memory_bound import process_is_ours
if "ours" in sys.argv:
    with process_is_ours():
        core()
else:
    core()
loaded = [name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None]
assert not loaded, loaded
try:
    import openvino_telemetry
except ModuleNotFoundError:
    pass
else:
    raise AssertionError
import openvino
assert hasattr(openvino, "convert_model") is ("ours" not in sys.argv), "a program of somebody else keeps its converter"
"""
    for words in ([], ["ours"]):
        subprocess.run([sys.executable, "-c", code, *words], check=True)


@needs_openvino
def test_a_program_that_imported_it_first_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino_library.import_openvino()
    monkeypatch.setitem(sys.modules, openvino_library.TELEMETRY, SimpleNamespace())
    with pytest.warns(RuntimeWarning, match="with its telemetry on; import it later"):
        openvino_library.import_openvino()


@needs_openvino
def test_a_face_of_each_sample_is_the_same(default_bundle: Bundle) -> None:
    """Within the tolerances of a calibration to FP16, whose unit is the task's."""
    from voxface.runtime.audio.decode import read_blocks

    with FaceEstimator(default_bundle, "openvino") as one, FaceEstimator(default_bundle, "cpu") as other:
        assert one.provider == "openvino"
        for file in SAMPLES:
            speech = other.listen(read_blocks(file))
            a, b = one.face_of_sound(speech)[1], other.face_of_sound(speech)[1]
            assert float(a.embedding @ b.embedding) > 1 - 1e-5
            assert np.abs(a.vertices - b.vertices).max() < 0.01
            assert np.abs(a.image.astype(int) - b.image.astype(int)).max() <= 1


@needs_openvino
def test_specs_keep_names_of_dimensions(engines: dict[str, tuple[Engine, Engine]]) -> None:
    assert engines["encoder"][0].inputs == {"log_mel": TensorSpec("float32", ("B", 64, "T"))}
