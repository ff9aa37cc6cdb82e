"""The FP16 emulator: against ONNX's reference, and where ONNX Runtime's CPU provider hides what happens."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

import onnxruntime as ort
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from tests.stand_ins.small_bundle import graph, single
from voxface.onnx_graph.fp16_emulation import Fp16Emulator, _total
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.fp16 import can_lower, to_fp16

Steps = list[tuple[str, list[str], str, dict[str, Any]]]
ULP = 2.0**-10  # of FP16, relative


def lowered(steps: Steps, constants: dict[str, Any], shape: list[Any], out: list[Any], opset: int = 18) -> Graph:
    whole = Graph.from_bytes(graph(steps, constants, {"x": shape}, {"y": out}, opset))
    return to_fp16(whole, [node.name for node in whole.nodes if can_lower(whole, node)])


def both(model: Graph, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with np.errstate(all="ignore"):
        reference = ReferenceEvaluator(model.model()).run(None, {"x": x})[0]
    return Fp16Emulator(model).run({"x": x})["y"], reference


halves = arrays(np.float16, (2, 3, 8), elements=st.floats(-60000, 60000, width=16))


@settings(max_examples=60, deadline=None)
@given(x=halves, op=st.sampled_from(["Add", "Sub", "Mul", "Div"]), other=st.floats(-300, 300, width=16))
def test_arithmetic_is_that_of_half_precision_to_the_bit(x: NDArray[np.float16], op: str, other: float) -> None:
    """+ − × ÷ in FP32, rounded once, are what numpy's float16 computes, overflow and subnormals included."""
    model = lowered([(op, ["x", "c"], "y", {})], {"c": single(other)}, [2, 3, 8], [2, 3, 8])
    by_numpy = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[op]
    with np.errstate(all="ignore"):
        expected = by_numpy(x, np.float16(other)).astype(np.float32)
    np.testing.assert_array_equal(Fp16Emulator(model).run({"x": x.astype(np.float32)})["y"], expected)


SMOOTH: list[tuple[str, dict[str, Any]]] = [
    ("Relu", {}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Exp", {}),
    ("LeakyRelu", {"alpha": 0.25}),
    ("Softmax", {"axis": 2}),
    ("Transpose", {"perm": [0, 1, 2]}),
    ("GlobalAveragePool", {}),
]


@pytest.mark.parametrize(("op", "attributes"), SMOOTH, ids=[op for op, _ in SMOOTH])
def test_one_operator_against_the_reference(op: str, attributes: dict[str, Any], rng: np.random.Generator) -> None:
    out = [2, 3, 1] if op == "GlobalAveragePool" else [2, 3, 8]
    x = rng.normal(size=(2, 3, 8)).astype(np.float32)
    got, expected = both(lowered([(op, ["x"], "y", attributes)], {}, [2, 3, 8], out), x)
    np.testing.assert_allclose(got, expected, rtol=4 * ULP, atol=4e-4)
    np.testing.assert_array_equal(got, got.astype(np.float16).astype(np.float32), "every output is a half")


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [13, 18])
def test_reductions_against_the_reference(op: str, keepdims: int, opset: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 8)).astype(np.float32)
    as_input = opset >= 18 or op == "ReduceSum"
    attributes: dict[str, Any] = {"keepdims": keepdims} | ({} if as_input else {"axes": [-1]})
    inputs, constants = (["x", "a"], {"a": np.array([-1])}) if as_input else (["x"], {})
    out = [2, 3, 1] if keepdims else [2, 3]
    got, expected = both(lowered([(op, inputs, "y", attributes)], constants, [2, 3, 8], out, opset), x)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=8 * ULP, atol=1e-3)


def test_layers_against_the_reference(rng: np.random.Generator) -> None:
    """Convolution, batch and layer normalisation and a matrix product in a row."""
    constants: dict[str, Any] = {
        "w": (rng.normal(size=(4, 3, 3)) / 3).astype(np.float32),
        "b": rng.normal(size=4).astype(np.float32),
        "scale": rng.uniform(0.5, 2, 4).astype(np.float32),
        "mean": rng.normal(size=4).astype(np.float32),
        "variance": rng.uniform(0.5, 2, 4).astype(np.float32),
        "gain": rng.uniform(0.5, 2, 8).astype(np.float32),
        "m": (rng.normal(size=(8, 5)) / 3).astype(np.float32),
    }
    steps: Steps = [
        ("Conv", ["x", "w", "b"], "c", {"pads": [1, 1]}),
        ("BatchNormalization", ["c", "scale", "b", "mean", "variance"], "n", {}),
        ("LayerNormalization", ["n", "gain"], "l", {"axis": -1}),
        ("MatMul", ["l", "m"], "y", {}),
    ]
    got, expected = both(lowered(steps, constants, [2, 3, 8], [2, 4, 5]), rng.normal(size=(2, 3, 8)).astype(np.float32))
    np.testing.assert_allclose(got, expected, rtol=0.01, atol=0.01)


def test_overflow_between_two_products_shows_here_and_not_on_the_cpu() -> None:
    steps: Steps = [("Mul", ["x", "up"], "big", {}), ("Mul", ["big", "down"], "y", {})]
    model = lowered(steps, {"up": single(1000), "down": single(0.001)}, [1], [1])
    x = np.array([100.0], np.float32)
    assert np.isinf(Fp16Emulator(model).run({"x": x})["y"])
    assert ort.InferenceSession(model.to_bytes()).run(None, {"x": x})[0] == pytest.approx(100, rel=0.01)


def test_a_sum_overflows_although_the_mean_would_not() -> None:
    model = lowered([("ReduceMean", ["x", "a"], "y", {"keepdims": 0})], {"a": np.array([1])}, [1, "T"], [1])
    emulator = Fp16Emulator(model)
    assert emulator.run({"x": np.full((1, 60), 1000, np.float32)})["y"] == 1000
    assert np.isinf(emulator.run({"x": np.full((1, 70), 1000, np.float32)})["y"])


def test_subnormals_are_kept_and_smaller_numbers_are_not() -> None:
    model = lowered([("Identity", ["x"], "y", {})], {}, [3], [3])
    got = Fp16Emulator(model).run({"x": np.array([2.0**-24, 1.4 * 2.0**-24, 2.0**-26], np.float32)})["y"]
    np.testing.assert_array_equal(got, np.array([2.0**-24, 2.0**-24, 0], np.float32))


def test_what_is_not_emulated_is_not_lowered() -> None:
    steps: Steps = [("AveragePool", ["x"], "p", {"kernel_shape": [2]}), ("Relu", ["p"], "y", {})]
    whole = Graph.from_bytes(graph(steps, {}, {"x": [2, 3, 8]}, {"y": [2, 3, 7]}))
    assert [can_lower(whole, node) for node in whole.nodes] == [False, True]
    with pytest.raises(ValueError, match="cannot be FP16"):
        to_fp16(whole, ["the_p"])


def test_a_sum_does_not_depend_on_how_its_numbers_lie() -> None:
    x = np.random.default_rng(0).normal(1, 1, (7, 3, 1001)).astype(np.float16)
    for axis in (0, 1, 2):
        here = _total(x, (axis,))
        there = _total(np.ascontiguousarray(np.moveaxis(x, axis, 0)), (0,))
        np.testing.assert_array_equal(np.moveaxis(here, axis, 0), there)
    assert _total(x, (0, 2)).shape == (1, 3, 1)
    assert _total(np.full((1, 4096), 0.1, np.float16), (1,))[0, 0] == np.float16(4096) * np.float16(0.1)
    with np.errstate(over="ignore"):
        assert np.isinf(_total(np.full((2, 1000), 100, np.float16), (1,))).all()
    # A tree of 2,049 ones: the last one meets a sum of 2,048, beside which FP16 has no room for it.
    assert _total(np.ones((1, 2049), np.float16), (1,))[0, 0] == 2048
