"""Transposed convolutions as convolutions: the same numbers for any size."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calibration.small_bundle import graph
from voxface.calibration.graph import Graph
from voxface.calibration.sub_pixel import arithmetic_node, can_rewrite, rewrite
from voxface.runtime.engines import open_engine

KINDS = {
    "sub-pixel": (4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "kernel 3": (3, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "one pixel": (3, {}),
    "pointwise": (1, {}),
}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 20)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    batch=st.integers(1, 3),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_same_numbers(
    kind: str, channels: tuple[int, int], size: tuple[int, int], batch: int, bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kernel, attributes = KINDS[kind]
    size = (1, 1) if kind == "one pixel" else size
    weight = rng.normal(size=(*channels, kernel, kernel)) / np.sqrt(channels[0] * kernel)
    constants = {"w": weight.astype(np.float32)}
    if bias:
        constants["b"] = rng.normal(size=channels[1]).astype(np.float32)
    shape = ["B", channels[0], *size]
    data = graph(
        [("ConvTranspose", ["x", *constants], "y", attributes)],
        constants,
        {"x": shape},
        {"y": ["B", channels[1], "H", "W"]},
    )
    whole = Graph.from_bytes(data)
    assert can_rewrite(whole, whole.nodes[0])
    rewritten = rewrite(whole, ["the_y"])
    assert "ConvTranspose" not in {node.op_type for node in rewritten.nodes}
    node = next(node for node in rewritten.nodes if node.name == arithmetic_node(rewritten, "the_y"))
    assert node.op_type in ("Conv", "Gemm")
    x = {"x": rng.normal(size=(batch, channels[0], *size)).astype(np.float32)}
    with open_engine(data, threads=1) as one, open_engine(rewritten.to_bytes(), threads=1) as other:
        np.testing.assert_allclose(other.run(x)["y"], one.run(x)["y"], atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "attributes"),
    [
        (3, {}),
        (4, {"strides": [2, 2]}),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "dilations": [2, 2]}),
        (4, {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        (4, {"strides": [2, 2], "pads": [1, 1, 1, 1], "group": 2}),
    ],
)
def test_other_kinds_are_left_alone(kernel: int, attributes: dict[str, object]) -> None:
    weight = np.ones((4, 4, kernel, kernel), np.float32)
    step = [("ConvTranspose", ["x", "w"], "y", attributes)]
    whole = Graph.from_bytes(graph(step, {"w": weight}, {"x": [1, 4, 5, 5]}, {"y": ["B", "C", "H", "W"]}))
    assert not can_rewrite(whole, whole.nodes[0])
    with pytest.raises(ValueError, match="no transposed convolution"):
        rewrite(whole, ["the_y"])
    assert rewrite(whole, []) is whole
