"""Passes over whole graphs: storage, fusing, a map on an output, names of dimensions, TensorRT's repairs."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from onnx import TensorProto, helper  # noqa: E402

from tests.stand_ins.small_bundle import Steps, encoder, face, graph, mesh  # noqa: E402
from voxface.onnx_graph.graph import Graph, show_tensors  # noqa: E402
from voxface.onnx_graph.passes.dimension_names import name_dimensions  # noqa: E402
from voxface.onnx_graph.passes.fp16 import FP16_FROM, store_fp16  # noqa: E402
from voxface.onnx_graph.passes.fusion import fuse  # noqa: E402
from voxface.onnx_graph.passes.linear_output import map_output  # noqa: E402
from voxface.onnx_graph.passes.tensorrt_repairs import (  # noqa: E402
    grouped_convolutions_in_fp32,
    is_grouped_fp16_convolution,
    is_matrix_product,
    products_as_convolutions,
)
from voxface.runtime.engines.opening import open_engine  # noqa: E402

RNG = np.random.default_rng(0)


def run(whole: Graph | bytes, feeds: dict[str, Any]) -> dict[str, Any]:
    with open_engine(whole.to_bytes() if isinstance(whole, Graph) else whole, threads=1) as engine:
        return engine.run(feeds)


def test_only_large_constants_that_fp16_holds_are_stored_so() -> None:
    exact = np.ones((1, FP16_FROM), np.float32)
    steps: Steps = [("Add", ["x", name], f"y{k}", {}) for k, name in enumerate(("exact", "fine", "small"))]
    sizes = {"y0": ["B", FP16_FROM], "y1": ["B", FP16_FROM], "y2": ["B", FP16_FROM]}
    constants = {"exact": exact, "fine": exact * np.float32(0.1), "small": np.ones(1, np.float32)}
    whole = Graph.from_bytes(graph(steps, constants, {"x": ["B", FP16_FROM]}, sizes))
    stored = store_fp16(whole)
    assert {name: str(array.dtype) for name, array in stored.constants.items()} == {
        "exact.stored": "float16",
        "fine": "float32",
        "small": "float32",
    }
    feeds = {"x": RNG.normal(size=(2, FP16_FROM)).astype(np.float32)}
    for output, right in run(whole, feeds).items():
        np.testing.assert_array_equal(run(stored, feeds)[output], right)
    again = Graph.from_bytes(stored.to_bytes())
    assert sorted(again.constants) == sorted(whole.constants), "the Cast is folded when the graph is read"


def test_an_output_can_be_mapped_more_than_once() -> None:
    mapped = Graph.from_bytes(mesh())
    width = mapped.shapes["coefficients"][1]
    assert isinstance(width, int)
    feeds = {"embedding": RNG.normal(size=(3, 8)).astype(np.float32)}
    expected = run(mapped, feeds)["coefficients"]
    for rows in (width + 2, 5):
        matrix, offset = (RNG.normal(size=size).astype(np.float32) for size in ((rows, expected.shape[1]), rows))
        mapped = map_output(mapped, "coefficients", matrix, offset, name="retarget")
        expected = expected @ matrix.T + offset
    assert mapped.shapes["coefficients"] == ("B", 5)
    np.testing.assert_allclose(
        run(mapped, feeds)["coefficients"], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )
    with pytest.raises(ValueError, match="no output coefficients"):
        map_output(mapped, "coefficients", np.zeros((2, 9), np.float32), np.zeros(2, np.float32), name="odd")


def test_fused_graphs_give_what_each_gives() -> None:
    graphs = {
        name: Graph.from_bytes(data) for name, data in (("encoder", encoder()), ("face", face()), ("mesh", mesh()))
    }
    feeds = {"log_mel": RNG.normal(size=(1, 64, 320)).astype(np.float32)}
    expected = run(graphs["encoder"], feeds)
    expected |= run(graphs["face"], {"embedding": expected["embedding"]}) | run(
        graphs["mesh"], {"embedding": expected["embedding"]}
    )
    got = run(fuse(graphs, "embedding"), feeds)
    assert got.keys() == expected.keys()
    for name, right in expected.items():
        np.testing.assert_allclose(got[name], right, atol=1e-4 * max(1.0, float(np.abs(right).max())))


def test_free_dimensions_are_called_as_asked_for() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["same"]), helper.make_node("NonZero", ["x"], ["places"])]
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["s0", 4])],
        [
            helper.make_tensor_value_info("same", TensorProto.FLOAT, ["s0", 4]),
            helper.make_tensor_value_info("places", TensorProto.INT64, [2, "u7"]),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    named = name_dimensions(Graph.from_bytes(model.SerializeToString()), {"x": {0: "B"}}, other="C")
    assert (named.shapes["x"], named.shapes["same"], named.shapes["places"]) == (("B", 4), ("B", 4), (2, "C"))


@pytest.mark.parametrize("bias", [None, np.float32([3]), np.arange(6, dtype=np.float32)])
@pytest.mark.parametrize("turned", [0, 1])
def test_a_product_with_factors_and_bias_as_a_convolution(bias: Any, turned: int) -> None:
    weight = RNG.normal(size=(6, 4) if turned else (4, 6)).astype(np.float32)
    inputs = ["x", "w", *([] if bias is None else ["b"])]
    steps: Steps = [("Gemm", inputs, "y", {"alpha": 0.5, "beta": 2.0, "transB": turned})]
    constants = {"w": weight, **({} if bias is None else {"b": bias})}
    whole = Graph.from_bytes(graph(steps, constants, {"x": ["B", 4]}, {"y": ["B", 6]}))
    assert [node.name for node in whole.nodes if is_matrix_product(whole, node)] == ["the_y"]
    changed = products_as_convolutions(whole, ["the_y"])
    assert [node.op_type for node in changed.nodes] == ["Unsqueeze", "Conv", "Squeeze"]
    feeds = {"x": RNG.normal(size=(3, 4)).astype(np.float32)}
    np.testing.assert_allclose(run(changed, feeds)["y"], run(whole, feeds)["y"], rtol=1e-5, atol=1e-5)


def test_repairs_refuse_nodes_that_they_do_not_know() -> None:
    whole = Graph.from_bytes(graph([("Relu", ["x"], "y", {})], {}, {"x": ["B", 4]}, {"y": ["B", 4]}))
    assert not is_matrix_product(whole, whole.nodes[0])
    assert not is_grouped_fp16_convolution(whole, whole.nodes[0])
    with pytest.raises(ValueError, match="the_y"):
        products_as_convolutions(whole, ["the_y"])
    with pytest.raises(ValueError, match="the_y"):
        grouped_convolutions_in_fp32(whole, ["the_y"])


def test_inner_tensors_can_be_shown() -> None:
    whole = Graph.from_bytes(mesh())
    tensors = [tensor for node in whole.nodes for tensor in node.output]
    values = run(show_tensors(whole.model(), tensors), {"embedding": RNG.normal(size=(2, 8)).astype(np.float32)})
    assert list(values) == tensors
