"""Nodes that some TensorRT versions refuse, in a form that they take; the bundle's manifest lists what was changed."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from voxface.onnx_graph.graph import Graph, attributes, rewired
from voxface.onnx_graph.node_runner import FLOAT, FLOAT16, Tensor

Float32 = NDArray[np.float32]


def is_grouped_fp16_convolution(graph: Graph, node: NodeProto) -> bool:
    """Whether `grouped_convolutions_in_fp32` takes a node: a convolution in FP16 with more than one group."""
    grouped = node.op_type in ("Conv", "ConvTranspose") and attributes(node).get("group", 1) != 1
    return grouped and any(graph.types.get(name) == FLOAT16 for name in node.input)


def grouped_convolutions_in_fp32(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named FP16 convolutions in FP32, between Casts: some TensorRT versions cannot build them in FP16.

    Raises:
        ValueError: a named node is no FP16 convolution with groups.
    """
    nodes: list[NodeProto] = []
    for node in graph.nodes:
        if node.name not in names:
            nodes.append(node)
            continue
        if not is_grouped_fp16_convolution(graph, node):
            raise ValueError(f"{node.name} ({node.op_type}) is no FP16 convolution with groups")
        inputs = list(node.input)
        for k, tensor in enumerate(node.input):
            if graph.types.get(tensor) == FLOAT16:
                inputs[k] = graph.unused(f"{node.name}.float32.{k}")
                nodes.append(helper.make_node("Cast", [tensor], [inputs[k]], name=inputs[k], to=FLOAT))
        output = graph.unused(f"{node.name}.float32")
        nodes.append(rewired(node, inputs, [output]))
        nodes.append(helper.make_node("Cast", [output], [node.output[0]], name=f"{output}.to_half", to=FLOAT16))
    return graph.with_nodes(nodes, {})


def is_matrix_product(graph: Graph, node: NodeProto) -> bool:
    """Whether `products_as_convolutions` takes a node: an FP32 product of a matrix [B, K] with constant weights [K, N], whose
    bias, if it has one, is constant too and as long as a row or one number."""
    if node.op_type not in ("Gemm", "MatMul") or graph.types.get(node.input[0]) != FLOAT:
        return False
    weight = graph.constants.get(node.input[1])
    if weight is None or weight.ndim != 2 or len(graph.shapes.get(node.input[0], ())) != 2:
        return False
    options = attributes(node)
    if options.get("transA") or not _has_bias(node):
        return not options.get("transA")
    bias = graph.constants.get(node.input[2])
    return bias is not None and bias.size in (1, weight.shape[0 if options.get("transB") else 1])


def products_as_convolutions(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named matrix products as 1×1 convolutions, which compute the same sums.

    TensorRT for RTX has no FP32 matrix product for Turing (SM75), but it has the convolution.

    Raises:
        ValueError: a named node is no such product.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.name not in names:
            nodes.append(node)
            continue
        if not is_matrix_product(graph, node):
            raise ValueError(f"{node.name} ({node.op_type}) is no FP32 product of a matrix with constant weights")
        matrix, bias = _weights(graph, node)
        stem = graph.unused(f"{node.output[0]}.1x1")
        constants |= {f"{stem}.weight": matrix[:, :, None], f"{stem}.axis": np.array([2], np.int64)}
        inputs = [f"{stem}.in", f"{stem}.weight"]
        if bias is not None:
            constants[f"{stem}.bias"] = bias
            inputs.append(f"{stem}.bias")
        axis = f"{stem}.axis"
        nodes += [
            helper.make_node("Unsqueeze", [node.input[0], axis], [f"{stem}.in"], name=f"{stem}.unsqueeze"),
            helper.make_node("Conv", inputs, [f"{stem}.out"], name=f"{node.name}_1x1", kernel_shape=[1]),
            helper.make_node("Squeeze", [f"{stem}.out", axis], [node.output[0]], name=f"{stem}.squeeze"),
        ]
    return graph.with_nodes(nodes, constants)


def _has_bias(node: NodeProto) -> bool:
    return len(node.input) > 2 and bool(node.input[2])


def _weights(graph: Graph, node: NodeProto) -> tuple[Float32, Float32 | None]:
    """Weights [N, K] and bias [N] of a matrix product, its factors alpha and beta multiplied in."""
    options = attributes(node)
    weight = graph.constants[node.input[1]]
    matrix = (weight if options.get("transB") else weight.T) * np.float32(options.get("alpha", 1.0))
    bias = None
    if _has_bias(node):
        scaled = graph.constants[node.input[2]].reshape(-1) * np.float32(options.get("beta", 1.0))
        bias = np.ascontiguousarray(np.broadcast_to(scaled, len(matrix)), np.float32)
    return np.ascontiguousarray(matrix, np.float32), bias
