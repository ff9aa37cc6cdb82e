"""Graphs that a TensorRT refuses, rewritten so that it takes them; what was done goes into the manifest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

Repair = Callable[[bytes], tuple[bytes, list[str]]]


def grouped_convolutions_in_float32(graph: bytes) -> tuple[bytes, list[str]]:
    """FP16 convolutions with groups get Casts around them: some TensorRT versions cannot build those in FP16.

    Returns the graph and the names of the nodes changed.
    """
    model = onnx.load_from_string(graph)
    types = _types(model)
    nodes: list[Any] = []
    names: list[str] = []
    for node in model.graph.node:
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        half = [types.get(name) == TensorProto.FLOAT16 for name in node.input]
        if node.op_type not in ("Conv", "ConvTranspose") or groups == 1 or not any(half):
            nodes.append(node)
            continue
        names.append(node.name or node.output[0])
        for index, name in enumerate(list(node.input)):
            if half[index]:
                single = f"{name}.float32.{len(names)}"
                nodes.append(helper.make_node("Cast", [name], [single], to=TensorProto.FLOAT))
                node.input[index] = single
        output = node.output[0]
        node.output[0] = f"{output}.float32"
        nodes += [node, helper.make_node("Cast", [node.output[0]], [output], to=TensorProto.FLOAT16)]
    _replace(model, nodes)
    return model.SerializeToString(), names


def products_as_convolutions(graph: bytes) -> tuple[bytes, list[str]]:
    """FP32 products of a matrix [B, K] with constant weights become 1×1 convolutions, the same sums.

    TensorRT for RTX has no FP32 matrix product for Turing (SM75), but it has the convolution.
    Returns the graph and the names of the nodes changed.
    """
    model = onnx.load_from_string(graph)
    types, ranks = _types(model), _ranks(model)
    nodes: list[Any] = []
    names: list[str] = []
    for node in model.graph.node:
        weights = _weights(model, node, types, ranks)
        if weights is None:
            nodes.append(node)
            continue
        matrix, bias = weights  # [N, K], [N] or none
        names.append(node.name or node.output[0])
        stem = f"{node.output[0]}.1x1"
        made: dict[str, NDArray[Any]] = {f"{stem}.weight": matrix[:, :, None], f"{stem}.axis": np.array([2], np.int64)}
        if bias is not None:
            made[f"{stem}.bias"] = bias
        model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in made.items())
        inputs = [f"{stem}.in", f"{stem}.weight", *([f"{stem}.bias"] if bias is not None else [])]
        nodes += [
            helper.make_node("Unsqueeze", [node.input[0], f"{stem}.axis"], [f"{stem}.in"]),
            helper.make_node("Conv", inputs, [f"{stem}.out"], kernel_shape=[1], name=f"{names[-1]}_1x1"),
            helper.make_node("Squeeze", [f"{stem}.out", f"{stem}.axis"], [node.output[0]]),
        ]
    _replace(model, nodes)
    return model.SerializeToString(), names


def _weights(
    model: Any, node: Any, types: dict[str, int], ranks: dict[str, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None] | None:
    """Weights [N, K] and bias [N] of a product that can become a convolution; None for any other node."""
    if node.op_type not in ("Gemm", "MatMul") or types.get(node.input[0]) != TensorProto.FLOAT:
        return None
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    matrix = _constant(model, node.input[1])
    bias = _constant(model, node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if matrix is None or matrix.ndim != 2 or ranks.get(node.input[0]) != 2 or options.get("transA"):
        return None
    if len(node.input) > 2 and node.input[2] and bias is None:
        return None
    matrix = (matrix if options.get("transB") else matrix.T) * np.float32(options.get("alpha", 1.0))
    if bias is not None:
        if bias.size not in (1, len(matrix)):
            return None
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(options.get("beta", 1.0)), len(matrix))
        bias = np.ascontiguousarray(bias, np.float32)
    return np.ascontiguousarray(matrix, np.float32), bias


def _constant(model: Any, name: str) -> NDArray[Any] | None:
    """The value of an initialiser, or of one that is stored in half precision and cast."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    for node in model.graph.node:
        if node.op_type == "Cast" and node.output[0] == name:
            value = _constant(model, node.input[0])
            to = next(a.i for a in node.attribute if a.name == "to")
            return None if value is None else value.astype(helper.tensor_dtype_to_np_dtype(to))
    return None


def _types(model: Any) -> dict[str, int]:
    return {
        **{value.name: int(value.type.tensor_type.elem_type) for value in _values(model)},
        **{tensor.name: int(tensor.data_type) for tensor in model.graph.initializer},
    }


def _ranks(model: Any) -> dict[str, int]:
    return {value.name: len(value.type.tensor_type.shape.dim) for value in _values(model)}


def _values(model: Any) -> list[Any]:
    inferred = shape_inference.infer_shapes(model).graph
    return [*inferred.input, *inferred.output, *inferred.value_info]


def _replace(model: Any, nodes: list[Any]) -> None:
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
