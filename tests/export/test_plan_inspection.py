"""Whether a built plan is what was wished: the real library, which tells nothing without a driver, and a fake that tells."""

import json
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from tests.stand_ins.small_bundle import noise_clips, small_bundle
from voxface.calibration.calibrate import CalibrationSettings, calibrate
from voxface.calibration.task_error import Tolerances
from voxface.export import plan_inspection
from voxface.export.plan_inspection import inspect, wished_precisions
from voxface.runtime.bundle.bundle import Bundle


def fake(layers: list[dict[str, Any]] | str | None) -> Any:
    """A library whose inspector says this of every plan; None: there is no driver."""
    text = layers if isinstance(layers, str) else json.dumps({"Layers": layers})
    inspector = types.SimpleNamespace(get_engine_information=lambda kind: text)
    engine = None if layers is None else types.SimpleNamespace(create_engine_inspector=lambda: inspector)
    severity = types.SimpleNamespace(INTERNAL_ERROR=0, ERROR=1)
    logger = type("ILogger", (), {"Severity": severity})

    def runtime(log: Any) -> Any:
        if layers is None:
            log.log(severity.ERROR, "CUDA driver version is insufficient")
        return types.SimpleNamespace(deserialize_cuda_engine=lambda data: engine)

    kinds = types.SimpleNamespace(JSON=1)
    library = types.ModuleType("tensorrt")
    vars(library).update(ILogger=logger, Runtime=runtime, LayerInformationFormat=kinds)
    return library


def layer(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Inputs": [{"Name": "x", "Format/Datatype": f"Row major linear {kind}"}], **more}


NETWORK = {"conv": "float16", "gemm": "float32", "up/conv00": "int8"}
WISH = {"conv": "float16", "gemm": "float32", "up": "int8"}


def test_a_plan_as_wished() -> None:
    layers = [layer("conv + relu", "FP16"), layer("gemm", "Float"), layer("a, up/conv00", "Int8")]
    found = inspect(fake(layers), b"", NETWORK, WISH)
    assert found.network == found.plan == {"float16": 1, "float32": 1, "int8": 1}
    assert found.unlike is None
    assert found.not_told is None


def test_silent_fp32_is_found() -> None:
    """In the plan, by the layer's name or the ONNX node in its metadata; and in the network, before anything was built."""
    layers = [layer("fused", "FP32", Metadata="[ONNX Layer: conv]\x1f[ONNX Layer: relu]"), layer("gemm", "FP32")]
    found = inspect(fake(layers), b"", NETWORK, WISH)
    assert found.unlike == ("conv in the plan: float32, not float16",)
    assert found.not_told == "the inspector tells the types of 2 of 3 layers"
    found = inspect(fake([]), b"", {**NETWORK, "up/conv00": "float32"}, WISH)
    assert found.unlike == ("up/conv00: float32, not int8",)
    assert found.not_told == "the inspector names no layers"


@pytest.mark.parametrize("said", ["no JSON", "[]", '{"Layers": [1, {"Name": "conv"}]}'])
def test_what_an_inspector_does_not_tell_is_said(said: str) -> None:
    found = inspect(fake(said), b"", NETWORK, WISH)
    assert found.plan is None
    assert found.not_told
    assert found.unlike is None


def test_without_a_driver_and_without_an_inspector() -> None:
    found = inspect(fake(None), b"", NETWORK, WISH)
    assert found.not_told == "the plan was not inspected: no NVIDIA driver on this machine"
    old = fake([])
    del old.LayerInformationFormat
    assert inspect(old, b"", NETWORK, {}).not_told == "this TensorRT has no inspector"


def test_the_wish_is_the_precision_plan(tmp_path: Path) -> None:
    """And the real library's network is like it, in every form that a node may have been rewritten into."""
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]")
    from voxface.export.tensorrt_build import build_bundle

    source = small_bundle(tmp_path / "small")
    assert wished_precisions(source, "face") == {}
    bundle = calibrate(source, noise_clips(4), CalibrationSettings("mixed", Tolerances(0.9, 15, 5))).bundle
    bundle = Bundle.open(bundle.write(tmp_path / "mixed").path)
    wish = wished_precisions(bundle, "face")
    assert wish["the_map8"] == "int8"
    assert set(wish.values()) > {"int8"}
    _, built = build_bundle(bundle, tmp_path / "out", "tensorrt-rtx", ["sm86"])
    for plan in built:
        inspection = plan.entry.inspection
        assert inspection is not None
        assert inspection.unlike is None, (plan.entry.graph, inspection.unlike)
        assert sum(inspection.network.values()) >= 1
        assert inspection.plan or inspection.not_told
    assert plan_inspection.network_precisions(trt, types.SimpleNamespace(num_layers=0)) == {}
