"""INT8 in a graph: nodes between quantise-dequantise (QDQ) pairs, one graph for ONNX Runtime on CPUs and for TensorRT.

TensorRT takes symmetric INT8 only and no quantised bias, so both get the same: int8 activations with one scale a tensor, int8
weights with one scale an output channel, all zero points 0, float32 biases (ONNX Runtime quantises them when it loads the
graph).

ONNX Runtime's own quantiser can write such graphs, but its graph of the face generator ran slower than FP32. x86 processors
have INT8 kernels for unsigned activations; ONNX Runtime turns signed activations into unsigned ones when it loads a graph, but
only if the quantised tensor is dequantised once. So here every INT8 node reads a pair of its own. A tensor keeps one scale from
the convolution through operations that move its numbers up to the ReLU: these operations lose no precision and run on 8 bits.

The outputs of a graph are not rounded to INT8, since the output for a voice unlike those that calibrated would be clipped at
their range. ONNX Runtime has no INT8 convolution with a float32 output, so a convolution whose output leaves the graph stays in
FP32.

Weights have 7 bits by default. CPUs with AVX2 but without VNNI add two products in 16 bits, which saturates with 8-bit weights
(the default bundle's picture: 37 dB instead of 52). With 7 bits it cannot saturate, and every device computes the same.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from voxface.onnx_graph.graph import Graph, attributes, rewired
from voxface.onnx_graph.node_runner import Tensor

OPS: Final = ("Conv", "Gemm", "MatMul")
THROUGH: Final = ("Concat", "DepthToSpace", "Relu", "Reshape", "Slice", "Transpose")  # keep the scale of what they read
WEIGHT_BITS: Final = 7
_LEVELS: Final = 127
_AXES: Final = {"Conv": 0, "Gemm": 1, "MatMul": 1}  # of the weights: output channels


def can_quantise(graph: Graph, node: NodeProto) -> bool:
    """Whether `to_int8` takes a node: a float32 matrix product with constant weights, or a convolution with constant weights
    whose output does not leave the graph."""
    if node.op_type not in OPS or not graph.is_float(node.input[0]) or node.input[0] in graph.constants:
        return False
    weight = graph.constants.get(node.input[1])
    options = attributes(node)
    plain = options.get("transA", 0) == 0 and options.get("alpha", 1.0) == 1.0
    fits = not gives_out(graph, node) if node.op_type == "Conv" else weight is not None and weight.ndim == 2
    return weight is not None and weight.dtype == np.float32 and plain and fits


def gives_out(graph: Graph, node: NodeProto) -> bool:
    """Whether the output of a node leaves the graph, with nothing but operations of `THROUGH` in between."""
    outputs = {value.name for value in graph.outputs}
    return _end(graph, node.output[0], outputs) in outputs


def to_int8(
    graph: Graph, names: Collection[str], limits: Mapping[str, float], *, weight_bits: int = WEIGHT_BITS
) -> Graph:
    """The graph with the named nodes between QDQ pairs.

    Args:
        graph: graph whose named transposed convolutions have been rewritten (`sub_pixel.rewrite`).
        names: nodes that `can_quantise` accepts.
        limits: tensor -> the magnitude that becomes 127, for every tensor that these nodes or ReLUs after them read or make.
        weight_bits: bits of the weights, 7 or 8; see the module's docstring.

    Raises:
        ValueError: a named node cannot be quantised.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {"int8.zero": np.array(0, np.int8)}
    outputs = {value.name for value in graph.outputs}
    scales: dict[str, float] = {}  # tensor that an INT8 node makes -> its scale
    wanted = _wanted(graph, names)
    left: dict[str, list[str]] = {}  # tensor -> the dequantised copies that later INT8 nodes read

    def pairs(source: str, tensor: str, first: str, scale: float) -> None:
        constants[f"{tensor}.scale"] = np.array(scale, np.float32)
        parameters = [f"{tensor}.scale", "int8.zero"]
        readers = sum(node.name in names and node.input[0] == tensor for node in graph.nodes)
        left[tensor] = [first, *(f"{tensor}.dequantised.{k}" for k in range(1, readers))]
        for k, result in enumerate(left[tensor]):
            which = f".{k}" if k else ""
            # ONNX Runtime merges nodes that compute the same. The axis, which has no meaning for a tensor with one scale,
            # keeps them apart.
            axis: dict[str, Any] = {"axis": min(k, len(graph.shapes.get(tensor, ())) - 1)} if readers > 1 else {}
            eight = f"{tensor}.int8{which}"
            nodes.append(
                helper.make_node(
                    "QuantizeLinear", [source, *parameters], [eight], name=f"{tensor}.quantise{which}", **axis
                )
            )
            nodes.append(
                helper.make_node("DequantizeLinear", [eight, *parameters], [result], name=f"{tensor}.dequantise{which}")
            )

    for node in graph.nodes:
        copy = rewired(node, node.input, node.output)
        made = node.output[0]
        if node.name in names:
            if not can_quantise(graph, node):
                raise ValueError(f"{node.name} ({node.op_type}) cannot be INT8")
            source = node.input[0]
            if source not in left:
                pairs(source, source, f"{source}.dequantised", _scale(limits[source]))
            copy.input[0] = left[source].pop(0)
            weight = node.input[1]
            copy.input[1] = f"{weight}.dequantised"
            if f"{weight}.int8" not in constants:
                transposed = attributes(node).get("transB", 0)
                axis = 0 if transposed else _AXES[node.op_type]
                levels, steps = quantised_weights(graph.constants[weight], axis, weight_bits)
                constants |= {f"{weight}.int8": levels, f"{weight}.scales": steps}
                constants[f"{weight}.zeros"] = np.zeros(len(steps), np.int8)
                inputs = [f"{weight}.int8", f"{weight}.scales", f"{weight}.zeros"]
                nodes.append(
                    helper.make_node(
                        "DequantizeLinear", inputs, [copy.input[1]], name=f"{weight}.dequantise", axis=axis
                    )
                )
            end = _end(graph, made, outputs)
            if end not in outputs:
                scales[made] = _scale(limits[end])
        elif node.op_type in THROUGH and made in wanted:
            read = {scales.get(tensor) for tensor in _data(node)}
            if len(read) == 1 and (scale := read.pop()) is not None:
                scales[made] = scale
        nodes.append(copy)
        if made in scales:
            copy.output[0] = f"{made}.float"
            pairs(f"{made}.float", made, made, scales[made])
    return graph.with_nodes(nodes, constants)


def quantised_weights(
    weight: NDArray[np.float32], axis: int, bits: int = WEIGHT_BITS
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as int8 of the same shape, and the step of each output channel (dimension `axis`), float32 [C].

    With 7 bits they are −64…64: two products with 8-bit activations then stay within 16 bits, 2 · 64 · 255 < 2¹⁵.
    """
    most = 64 if bits == 7 else 127
    others = tuple(k for k in range(weight.ndim) if k != axis)
    steps = np.maximum(np.abs(weight).max(others, keepdims=True) / most, np.finfo(np.float32).tiny)
    return np.rint(weight / steps).astype(np.int8), steps.ravel().astype(np.float32)


def int8_region(graph: Graph) -> set[str]:
    """The nodes of a graph from `to_int8` whose data comes and goes as INT8: lowering them to FP16 would only add Casts."""
    quantised = {node.input[0] for node in graph.nodes if node.op_type == "QuantizeLinear"}
    return {
        node.name
        for node in graph.nodes
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        or (node.output[0] in quantised and node.output[0].endswith(".float"))
    }


def _scale(limit: float) -> float:
    return max(limit, 1e-30) / _LEVELS


def _data(node: NodeProto) -> list[str]:
    """The inputs that a node of `THROUGH` passes on."""
    return list(node.input) if node.op_type == "Concat" else [node.input[0]]


def _wanted(graph: Graph, names: Collection[str]) -> set[str]:
    """The tensors that INT8 nodes read, directly or through operations of `THROUGH`; 8 bits are of no use to other tensors."""
    wanted: set[str] = set()
    for node in reversed(graph.nodes):
        if node.name in names:
            wanted.add(node.input[0])
        elif node.op_type in THROUGH and node.output[0] in wanted:
            wanted |= set(_data(node))
    return wanted


def _end(graph: Graph, tensor: str, outputs: Collection[str]) -> str:
    """The tensor whose range decides the scale of `tensor`.

    It is the output of the ReLU if one follows, since the values that the ReLU cuts off need no levels. Otherwise it is the
    last tensor before something is computed with it, which may be a graph output. The parts of a Concat share the range of the
    whole.
    """
    while tensor not in outputs:
        users = graph.consumers(tensor)
        if len(users) != 1 or users[0].op_type not in THROUGH or tensor not in _data(users[0]):
            break
        tensor = users[0].output[0]
        if users[0].op_type == "Relu":
            break
    return tensor
