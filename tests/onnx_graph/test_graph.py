"""Graphs before they are lowered, and the FP16 and INT8 graphs made of them: well typed whatever is chosen."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

import onnxruntime as ort  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from tests.stand_ins.small_bundle import encoder, face, mesh  # noqa: E402
from voxface.calibration.int8_ranges import TensorRange, record_ranges  # noqa: E402
from voxface.calibration.lowering import Lowering  # noqa: E402
from voxface.onnx_graph.graph import Graph  # noqa: E402
from voxface.onnx_graph.passes.fp16 import can_lower, fp16_holds, store_fp16, to_fp16  # noqa: E402
from voxface.onnx_graph.passes.int8 import can_quantise, quantised_weights, to_int8  # noqa: E402
from voxface.onnx_graph.passes.sub_pixel import can_rewrite, rewrite  # noqa: E402
from voxface.runtime.bundle.bundle import Bundle  # noqa: E402
from voxface.runtime.bundle.manifest import GRAPHS  # noqa: E402
from voxface.runtime.engines.opening import open_engine  # noqa: E402
from voxface.runtime.errors import BundleError  # noqa: E402

FILES = {
    "encoder": encoder(),
    "face": face(),
    "face without tanh": face(""),
    "face doubled last": face("double"),
    "mesh": mesh(),
}


def feed(name: str, batch: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    shape = (batch, 64, 640) if name == "encoder" else (batch, 8)
    return {"log_mel" if name == "encoder" else "embedding": rng.normal(size=shape).astype(np.float32)}


def run(data: bytes, feeds: dict[str, Any]) -> dict[str, Any]:
    with open_engine(data, threads=1) as engine:
        return engine.run(feeds)


def test_casts_of_weights_are_folded_and_stored_again(default_bundle: Bundle) -> None:
    for name in GRAPHS:
        data = default_bundle.graph(name)
        whole = Graph.from_bytes(data)
        assert not [node for node in whole.nodes if node.op_type == "Cast"]
        assert len({node.name for node in whole.nodes}) == len(whole.nodes)
        assert all(node.name for node in whole.nodes)
        assert all(array.dtype != np.float16 for array in whole.constants.values())
        assert all(tensor in whole.types for node in whole.nodes for tensor in node.output)
        again = store_fp16(whole).to_bytes()
        assert len(again) < len(data) + 2000
        assert again == store_fp16(Graph.from_bytes(again)).to_bytes(), "the same graph, the same bytes"
        feeds = {
            "log_mel" if name == "encoder" else "embedding": np.ones((1, 64, 800)[: 3 if name == "encoder" else 2])
            .astype(np.float32)
        }  # fmt: skip
        for output, expected in run(data, feeds).items():
            np.testing.assert_allclose(run(again, feeds)[output], expected, atol=1e-5)


def test_half_storage_is_only_for_numbers_that_half_precision_holds() -> None:
    assert fp16_holds(np.array([1, -2.5, 65504, 2.0**-24, np.inf], np.float32))
    assert not fp16_holds(np.array([0.1], np.float32))
    assert not fp16_holds(np.array([70000], np.float32))


def test_nameless_and_like_named_nodes_get_names() -> None:
    model = onnx.load_model_from_string(mesh("subnormal"))
    for name in ("", "same"):
        for node in model.graph.node:
            node.name = name
        names = [node.name for node in Graph.from_bytes(model.SerializeToString()).nodes]
        assert len(set(names)) == len(names)
        assert "" not in names


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(BundleError, match="face: not a valid ONNX graph"):
        Graph.from_bytes(b"nonsense", name="face")
    value = helper.make_tensor_value_info
    foreign = helper.make_graph(
        [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")],
        "foreign",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(foreign, opset_imports=opsets, ir_version=10)
    with pytest.raises(BundleError, match=r"com\.microsoft::Gelu"):
        Graph.from_bytes(model.SerializeToString())
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "b", [], [value("z", TensorProto.FLOAT, [1])]
    )
    flow = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "flow",
        [value("x", TensorProto.FLOAT, [1]), value("c", TensorProto.BOOL, [])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(flow, opset_imports=opsets[:1], ir_version=10)
    with pytest.raises(BundleError, match="control flow"):
        Graph.from_bytes(model.SerializeToString())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_nodes_in_fp16_make_a_well_typed_graph(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(FILES)))
    whole = Graph.from_bytes(FILES[name])
    candidates = [node.name for node in whole.nodes if can_lower(whole, node)]
    chosen = data.draw(st.sets(st.sampled_from(candidates)))
    lowered = to_fp16(whole, chosen)
    for node in lowered.nodes:
        if node.name in chosen:
            assert lowered.types[node.output[0]] == TensorProto.FLOAT16
    for node in lowered.nodes:
        floats = {lowered.types[t] for t in (*node.input, *node.output) if t} & {TensorProto.FLOAT, TensorProto.FLOAT16}
        assert len(floats) < 2 or node.op_type == "Cast"
    got, expected = run(store_fp16(lowered).to_bytes(), feed(name)), run(FILES[name], feed(name))
    for output, right in expected.items():
        assert got[output].dtype == np.float32
        np.testing.assert_allclose(got[output], right, atol=0.02)


def test_all_in_fp16_has_casts_at_the_borders_only() -> None:
    whole = Graph.from_bytes(FILES["face"])
    lowered = to_fp16(whole, [node.name for node in whole.nodes])
    assert [node.op_type for node in lowered.nodes].count("Cast") == 2
    assert all(x.dtype != np.float32 for x in lowered.constants.values())


@settings(max_examples=40, deadline=None)
@given(data=st.data(), bits=st.sampled_from([7, 8]))
def test_any_nodes_in_int8_make_a_well_typed_graph_for_tensorrt_too(data: st.DataObject, bits: int) -> None:
    name = data.draw(st.sampled_from(list(FILES)))
    source = Graph.from_bytes(FILES[name])
    whole = rewrite(source, [node.name for node in source.nodes if can_rewrite(source, node)])
    limits = {tensor: found.int8_limit() for tensor, found in record_ranges(whole, [feed(name)]).items()}
    candidates = [node.name for node in whole.nodes if can_quantise(whole, node)]
    chosen = data.draw(st.sets(st.sampled_from(candidates), min_size=1))
    quantised = to_int8(whole, chosen, limits, weight_bits=bits)
    pairs = [node for node in quantised.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    for node in pairs:
        zeros = quantised.constants[node.input[2]]
        assert zeros.dtype == np.int8, "signed, so that TensorRT takes it; int32 would be a quantised bias"
        assert not zeros.any(), "symmetric"
        if node.op_type == "DequantizeLinear" and node.input[0] in quantised.constants:
            most = np.abs(quantised.constants[node.input[0]].astype(int)).max()
            assert most == (64 if bits == 7 else 127)
    got, expected = run(quantised.to_bytes(), feed(name)), run(FILES[name], feed(name))
    for output, right in expected.items():
        assert got[output].shape == right.shape
        if bits == 7:  # with 8 this CPU may saturate
            np.testing.assert_allclose(got[output], right, atol=0.12 * np.abs(right).max())


def in_int8(name: str) -> tuple[Graph, dict[str, float]]:
    """A graph with all in INT8 that can be, and the limits."""
    lowering = Lowering({name: Graph.from_bytes(FILES[name])})
    lowering.observe(name, [feed(name)])
    limits = {tensor: found.int8_limit() for tensor, found in lowering.ranges[name].items()}
    return lowering.graph(name, lowering.int8_candidates(), ()), limits


@pytest.mark.parametrize(("name", "left"), [("face", 0), ("face without tanh", 1)])
def test_onnx_runtime_runs_the_rewritten_generator_in_integers(tmp_path: Any, name: str, left: int) -> None:
    """On x86 this needs signed pairs that it can make unsigned; a float convolution left over would be slower than FP32."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    quantised, _ = in_int8(name)
    ort.InferenceSession(quantised.to_bytes(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx").graph
    operators = [node.op_type for node in optimised.node]
    assert operators.count("QLinearConv") == 2 * 4 + 1 - left, "two doublings of four each, and 1×1"
    assert operators.count("QGemm") == 1
    assert operators.count("QLinearConcat") == 2 - left
    assert operators.count("Conv") == left, "what gives out the image stays in FP32"
    assert "DequantizeLinear" not in [node.op_type for node in optimised.node if "weight" in node.name]
    # Channels stay last: all that is left of two doublings' Transposes moves rows of 2·C bytes.
    moved = [list(a.ints) for node in optimised.node if node.op_type == "Transpose" for a in node.attribute]
    assert moved.count([0, 1, 3, 2, 4, 5]) == 2 - left


def test_parts_of_a_map_have_the_scale_of_the_whole() -> None:
    quantised, limits = in_int8("face")
    parts = ["map8.scale", *(f"the_map8/conv{row}{column}.scale" for row in (0, 1) for column in (0, 1))]
    assert {float(quantised.constants[part]) for part in parts} == {float(np.float32(limits["relu8"] / 127))}


def test_a_tensor_that_several_int8_nodes_read_is_dequantised_once_for_each() -> None:
    quantised, _ = in_int8("face")
    pairs = [node for node in quantised.nodes if node.op_type == "QuantizeLinear" and node.input[0] == "relu4.float"]
    assert sorted(a.i for node in pairs for a in node.attribute) == [0, 1, 2, 3], "or equal ones would be merged"
    for node in pairs:
        (once,) = quantised.consumers(node.output[0])
        assert once.op_type == "DequantizeLinear"
        assert [user.op_type for user in quantised.consumers(once.output[0])] == ["Conv"]


def test_what_only_fp32_reads_is_not_rounded_again() -> None:
    """The ReLU after the last INT8 node, and a convolution whose output leaves the graph, as one before a mean over time."""
    quantised, _ = in_int8("face without tanh")
    assert "the_map16/relu.float" not in quantised.types
    assert quantised.types["the_map16/relu"] == TensorProto.FLOAT
    columns = next(node for node in in_int8("encoder")[0].nodes if node.name == "the_columns")
    assert list(columns.input) == ["positive", "v"]
    assert "positive.float" not in in_int8("encoder")[0].types


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), bits=st.sampled_from([7, 8]))
def test_weights_are_rounded_to_half_a_step_and_cannot_saturate_16_bits(seed: int, bits: int) -> None:
    weight = np.random.default_rng(seed).standard_cauchy(size=(5, 4, 3)).astype(np.float32)
    weight[2] = 0
    levels, steps = quantised_weights(weight, 0, bits)
    assert (np.abs(levels * steps.reshape(-1, 1, 1) - weight) <= 0.5001 * steps.reshape(-1, 1, 1)).all()
    if bits == 7:
        assert 2 * 255 * int(np.abs(levels.astype(int)).max()) < 2**15


def test_a_range_that_one_outlier_made_is_clipped() -> None:
    rng = np.random.default_rng(0)
    sample = rng.normal(size=300_000).astype(np.float32)
    assert TensorRange(-8, 8, 300_001, np.append(sample, np.float32(8))).int8_limit() < 6
    even = rng.uniform(-1, 1, 20_000).astype(np.float32)
    assert TensorRange(-1, 1, 20_000, even).int8_limit() == pytest.approx(1, rel=0.03)
    assert TensorRange(0, 0, 4, np.zeros(4, np.float32)).int8_limit() == 0
