"""Transposed convolutions as convolutions, exactly: what INT8 kernels exist for.

Four kinds occur in face generators:

* kernel 4, stride 2, padding 1: output pixel 2m of a row is x[m−1]·w[3] + x[m]·w[1], and 2m − 1 is x[m−1]·w[2] + x[m]·w[0].
  Both are made of the same two pixels. So one 2×2 convolution of the map padded by 1 makes four pixels at each of its
  (H + 1)×(W + 1) places, depth-to-space puts them where they belong, and a border of one pixel is cut off.
* kernel 3, stride 2, padding 1, output padding 1: the same with w[3] = 0.
* any kernel on a map of 1×1, stride 1, padding 0: a matrix product and a reshape.
* kernel 1, stride 1: a convolution.
"""

from collections.abc import Callable, Collection

import numpy as np
from onnx import NodeProto, helper

from voxface.calibration.graph import Graph
from voxface.calibration.kernels import Tensor

# Taps of the kernel that meet x[m-1] and x[m], for pixels 2m - 1 and 2m.
_TAPS = ((2, 0), (3, 1))

Rewrite = Callable[[Graph, NodeProto], tuple[list[NodeProto], dict[str, Tensor]]]


def can_rewrite(graph: Graph, node: NodeProto) -> bool:
    """Whether `rewrite` knows this node: a transposed convolution of one of the four kinds, with constant weights."""
    return _kind(graph, node) is not None


def rewrite(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named transposed convolutions as convolutions; what they are called is the same up to a "/".

    The node that does the arithmetic is NAME/conv or NAME/gemm, its output the tensor of the same name.

    Raises:
        ValueError: a named node is none that can be rewritten.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.name not in names:
            nodes.append(node)
            continue
        kind = _kind(graph, node)
        if kind is None:
            raise ValueError(f"{node.name} ({node.op_type}) is no transposed convolution that can be rewritten")
        more, arrays = kind(graph, node)
        nodes += more
        constants |= arrays
    return graph.with_nodes(nodes, constants) if constants else graph


def arithmetic_node(graph: Graph, name: str) -> str:
    """The node that does the arithmetic of node `name`, which may have been rewritten."""
    names = {node.name for node in graph.nodes}
    return next(candidate for candidate in (name, f"{name}/conv", f"{name}/gemm") if candidate in names)


def _kind(graph: Graph, node: NodeProto) -> Rewrite | None:
    if node.op_type != "ConvTranspose" or any(name and name not in graph.constants for name in node.input[1:]):
        return None
    weight = graph.constants[node.input[1]]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    kernel, spatial = weight.shape[2:], weight.ndim - 2
    strides = list(attributes.get("strides", [1] * spatial))
    pads = list(attributes.get("pads", [0] * 2 * spatial))
    plain = (
        attributes.get("group", 1) == 1
        and set(attributes.get("dilations", [1])) == {1}
        and not attributes.get("output_shape")
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and weight.dtype == np.float32
    )
    if not plain or spatial != 2:
        return None
    more = list(attributes.get("output_padding", [0, 0]))
    if strides == [2, 2] and pads == [1, 1, 1, 1] and (kernel, more) in (((4, 4), [0, 0]), ((3, 3), [1, 1])):
        return _sub_pixel
    if any(more):
        return None
    if strides == [1, 1] and not any(pads):
        if graph.shapes.get(node.input[0], ())[2:] == (1, 1):
            return _matrix_product
        if kernel == (1, 1):
            return _convolution
    return None


def _sub_pixel(graph: Graph, node: NodeProto) -> tuple[list[NodeProto], dict[str, Tensor]]:
    name, weight = node.name, graph.constants[node.input[1]]
    weight = np.pad(weight, [(0, 0), (0, 0), *[(0, 4 - size) for size in weight.shape[2:]]])
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    kernels = [weight[:, :, _TAPS[row]][..., _TAPS[column]].swapaxes(0, 1) for row, column in places]
    constants: dict[str, Tensor] = {
        f"{name}/weight": np.ascontiguousarray(np.concatenate(kernels)),
        f"{name}/first": np.array([1, 1]),
        f"{name}/last": np.array([-1, -1]),
        f"{name}/axes": np.array([2, 3]),
    }
    inputs = [node.input[0], f"{name}/weight"]
    if len(node.input) > 2 and node.input[2]:
        constants[f"{name}/bias"] = np.tile(graph.constants[node.input[2]], 4)
        inputs.append(f"{name}/bias")
    convolution = helper.make_node(
        "Conv", inputs, [f"{name}/conv"], name=f"{name}/conv", kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[1, 1]
    )
    spread = helper.make_node(
        "DepthToSpace", [f"{name}/conv"], [f"{name}/wide"], name=f"{name}/depth_to_space", blocksize=2, mode="DCR"
    )
    crop = [f"{name}/wide", f"{name}/first", f"{name}/last", f"{name}/axes"]
    return [convolution, spread, helper.make_node("Slice", crop, [node.output[0]], name=f"{name}/crop")], constants


def _matrix_product(graph: Graph, node: NodeProto) -> tuple[list[NodeProto], dict[str, Tensor]]:
    name, weight = node.name, graph.constants[node.input[1]]
    size, channels, height, width = weight.shape
    constants: dict[str, Tensor] = {
        f"{name}/weight": np.ascontiguousarray(weight.reshape(size, -1)),
        f"{name}/flat": np.array([-1, size]),
        f"{name}/shape": np.array([-1, channels, height, width]),
    }
    inputs = [f"{name}/vector", f"{name}/weight"]
    if len(node.input) > 2 and node.input[2]:
        constants[f"{name}/bias"] = np.repeat(graph.constants[node.input[2]], height * width)
        inputs.append(f"{name}/bias")
    nodes = [
        helper.make_node("Reshape", [node.input[0], f"{name}/flat"], [f"{name}/vector"], name=f"{name}/vector"),
        helper.make_node("Gemm", inputs, [f"{name}/gemm"], name=f"{name}/gemm"),
        helper.make_node("Reshape", [f"{name}/gemm", f"{name}/shape"], [node.output[0]], name=f"{name}/reshape"),
    ]
    return nodes, constants


def _convolution(graph: Graph, node: NodeProto) -> tuple[list[NodeProto], dict[str, Tensor]]:
    name = node.name
    constants = {f"{name}/weight": np.ascontiguousarray(graph.constants[node.input[1]].swapaxes(0, 1))}
    inputs = [node.input[0], f"{name}/weight", *node.input[2:]]
    return [helper.make_node("Conv", inputs, [node.output[0]], name=f"{name}/conv", kernel_shape=[1, 1])], constants
