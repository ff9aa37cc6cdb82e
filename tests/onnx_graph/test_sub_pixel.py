"""Transposed convolutions as convolutions: the same numbers for any size."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from tests.stand_ins.small_bundle import Steps, graph
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.sub_pixel import arithmetic_nodes, can_rewrite, rewrite
from voxface.runtime.engines.opening import open_engine

KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "kernel 4": (4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "kernel 3": (3, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "one pixel": (3, {}),
    "pointwise": (1, {}),
}
DOUBLINGS = ("kernel 4", "kernel 3")
ONE, FOUR = {"/conv"}, {"/conv00", "/conv01", "/conv10", "/conv11"}


def layer(rng: np.random.Generator, kind: str, channels: tuple[int, int]) -> np.ndarray:
    kernel = KINDS[kind][0]
    return (rng.normal(size=(*channels, kernel, kernel)) / np.sqrt(channels[0] * kernel)).astype(np.float32)


def check(data: bytes, names: list[str], x: np.ndarray, *, reference: bool = False) -> Graph:
    """Rewrites nodes, compares the numbers, and gives the new graph."""
    rewritten = rewrite(Graph.from_bytes(data), names)
    assert not set(names) & {node.name for node in rewritten.nodes if node.op_type == "ConvTranspose"}
    with open_engine(data, threads=1) as one, open_engine(rewritten.to_bytes(), threads=1) as other:
        expected = one.run({"x": x})["y"]
        np.testing.assert_allclose(other.run({"x": x})["y"], expected, atol=1e-5)
        if reference:
            (got,) = ReferenceEvaluator(rewritten.model()).run(None, {"x": x})
            np.testing.assert_allclose(got, expected, atol=1e-5)
    return rewritten


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    batch=st.integers(1, 3),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
@example(kind="kernel 4", channels=(5, 3), size=(16, 16), batch=2, bias=True, seed=0)
@example(kind="kernel 4", channels=(5, 3), size=(4, 4), batch=2, bias=True, seed=0)
@example(kind="kernel 3", channels=(5, 3), size=(16, 16), batch=2, bias=True, seed=0)
def test_the_same_numbers(
    kind: str, channels: tuple[int, int], size: tuple[int, int], batch: int, bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    size = (1, 1) if kind == "one pixel" else size
    constants = {"w": layer(rng, kind, channels)}
    if bias:
        constants["b"] = rng.normal(size=channels[1]).astype(np.float32)
    step: Steps = [("ConvTranspose", ["x", *constants], "y", KINDS[kind][1])]
    data = graph(step, constants, {"x": ["B", channels[0], *size]}, {"y": ["B", channels[1], "H", "W"]})
    whole = Graph.from_bytes(data)
    assert can_rewrite(whole, whole.nodes[0])
    x = rng.normal(size=(batch, channels[0], *size)).astype(np.float32)
    rewritten = check(data, ["the_y"], x, reference=max(size) < 6)
    found = arithmetic_nodes(rewritten, "the_y")
    assert {node.op_type for node in rewritten.nodes if node.name in found} <= {"Conv", "Gemm"}
    assert len(found) == sum(node.op_type in ("Conv", "Gemm") for node in rewritten.nodes)


@pytest.mark.parametrize(
    ("kind", "size", "made"),
    [
        ("kernel 4", 4, FOUR),
        ("kernel 4", 8, FOUR),
        ("kernel 4", 16, ONE),
        ("kernel 3", 4, FOUR),
        ("kernel 3", 32, FOUR),
    ],
)
def test_four_convolutions_where_one_would_compute_much_for_nothing(kind: str, size: int, made: set[str]) -> None:
    weight = layer(np.random.default_rng(0), kind, (4, 4))
    step: Steps = [("ConvTranspose", ["x", "w"], "y", KINDS[kind][1])]
    data = graph(step, {"w": weight}, {"x": [1, 4, size, size]}, {"y": ["B", "C", "H", "W"]})
    rewritten = rewrite(Graph.from_bytes(data), ["the_y"])
    assert arithmetic_nodes(rewritten, "the_y") == {f"the_y{label}" for label in made}
    products = sum(
        rewritten.constants[node.input[1]].size * np.prod(rewritten.shapes[node.output[0]][2:])
        for node in rewritten.nodes
        if node.op_type == "Conv"
    )
    assert products <= 1.2 * weight.size * size**2


def generator(
    kind: str, size: tuple[int, int], batch: int, *, between: str = "Relu", end: str = ""
) -> tuple[bytes, Any]:
    """A doubling, something between, and a 1×1 layer, after which may come an end; and an input."""
    rng = np.random.default_rng(7)
    constants = {"w": layer(rng, kind, (6, 5)), "v": layer(rng, "pointwise", (5, 3))}
    constants |= {"b": rng.normal(size=5).astype(np.float32), "c": rng.normal(size=3).astype(np.float32)}
    steps: Steps = [
        ("ConvTranspose", ["x", "w", "b"], "map", KINDS[kind][1]),
        (between, ["map"], "between", {}),
        ("ConvTranspose", ["between", "v", "c"], "last" if end else "y", {}),
    ]
    if end:
        steps.append((end, ["last"], "y", {}))
    data = graph(steps, constants, {"x": ["B", 6, *size]}, {"y": ["B", 3, "H", "W"]})
    return data, rng.normal(size=(batch, 6, *size)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(DOUBLINGS),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    batch=st.integers(1, 3),
)
@example(kind="kernel 4", size=(16, 16), batch=2)
@example(kind="kernel 4", size=(4, 4), batch=2)
def test_the_last_layers_come_before_the_spreading(kind: str, size: tuple[int, int], batch: int) -> None:
    data, x = generator(kind, size, batch)
    rewritten = check(data, ["the_map"], x, reference=max(size) < 6)
    operators = {node.name: node.op_type for node in rewritten.nodes}
    assert operators["the_between"] == "Relu"
    assert operators["the_y"] == "Conv", "under their own names"
    (spread,) = (node for node in rewritten.nodes if node.op_type == "DepthToSpace")
    assert rewritten.shapes[spread.input[0]][1] == 4 * 3
    assert "map" not in rewritten.types, "nor is there a tensor of that name with its numbers in another order"


@pytest.mark.parametrize("more", [{"between": "Tanh"}, {"end": "Tanh"}])
def test_other_ends_stay_where_they_are(more: dict[str, str]) -> None:
    data, x = generator("kernel 4", (16, 16), 2, **more)
    rewritten = check(data, ["the_map"], x)
    assert "DepthToSpace" not in {node.op_type for node in rewritten.nodes}
    assert rewritten.shapes["map"][1:] == (5, 32, 32)


@pytest.mark.parametrize(
    ("kernel", "attributes", "size"),
    [
        (3, {}, 5),
        (4, {"strides": [2, 2]}, 5),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, 5),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [2, 2]}, 5),
        (4, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, 5),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 2}, 5),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}, "any"),
    ],
)
def test_other_kinds_are_left_alone(kernel: int, attributes: dict[str, object], size: int | str) -> None:
    weight = np.ones((4, 4, kernel, kernel), np.float32)
    step: Steps = [("ConvTranspose", ["x", "w"], "y", attributes)]
    whole = Graph.from_bytes(graph(step, {"w": weight}, {"x": [1, 4, size, size]}, {"y": ["B", "C", "H", "W"]}))
    assert not can_rewrite(whole, whole.nodes[0])
    with pytest.raises(ValueError, match="no transposed convolution"):
        rewrite(whole, ["the_y"])
    assert rewrite(whole, []) is whole
