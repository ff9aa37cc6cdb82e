"""Graphs that TensorRT refuses, and those that are rewritten for it; which precisions are told of what was built."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import InputError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from voxface.export import tensorrt_build  # noqa: E402
from voxface.export.tensorrt_build import build_bundle  # noqa: E402
from voxface.onnx_graph.graph import Graph  # noqa: E402
from voxface.onnx_graph.passes.tensorrt_repairs import (  # noqa: E402
    is_grouped_fp16_convolution,
    is_matrix_product,
    products_as_convolutions,
)

pytestmark = pytest.mark.train


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
