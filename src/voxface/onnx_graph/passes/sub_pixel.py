"""Transposed convolutions as convolutions with the same result, because INT8 kernels exist for convolutions only.

Four kinds occur in face generators:

* kernel 4, stride 2, padding 1 doubles a map. Output pixel 2m of a row is x[m−1]·w[3] + x[m]·w[1], and 2m + 1 is
  x[m]·w[2] + x[m+1]·w[0]. So the pixels of each parity of row and column are a 2×2 convolution of the map.
* kernel 3, stride 2, padding 1, output padding 1: the same with w[3] = 0.
* any kernel on a map of 1×1, stride 1, padding 0: a matrix product and a reshape.
* kernel 1, stride 1: a convolution.

A doubling has two forms. Output pixels 2m − 1 and 2m are sums over the same two input pixels, so one convolution of the map
padded by 1 can make four output pixels at each of its (H + 1)×(W + 1) places; a border of one pixel is then cut off. On small
maps, and for kernel 3, too much of that work is cut off, and four convolutions without a border are faster.

Both forms give 4·C channels, [2, 2, C], that are spread over the pixels. INT8 kernels store the channels of a pixel side by
side. Spreading in that order copies 2·C bytes at a time, while DepthToSpace copies single bytes.

The ReLU and the last 1×1 layer of a generator treat each pixel alone. If they follow a doubling, they are computed before the
spreading: three channels are spread instead of C.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import numpy as np
from onnx import NodeProto, helper

from voxface.onnx_graph.graph import Graph, attributes
from voxface.onnx_graph.node_runner import Tensor

# By the size of the kernel, for pixels 2m and 2m + 1 of a row: their taps, and how far these reach beyond the ends of the row.
_TAPS: Final = {4: ((3, 1), (2, 0)), 3: ((1,), (2, 0))}
_PADS: Final = {4: ((1, 0), (0, 1)), 3: ((0, 0), (0, 1))}
_PARITIES: Final = tuple(product((0, 1), (0, 1)))
# How much more arithmetic one convolution may need than four: a map of 8×8 pixels exceeds this ratio, one of 16×16 does not.
_ONE_FOR_ALL: Final = 1.2


@dataclass
class _Steps:
    """The nodes and constants that replace a node, each called NAME/something.

    The nodes whose names are in `instead_of` are replaced as well.
    """

    name: str
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    instead_of: set[str] = field(default_factory=set)

    def constant(self, label: str, array: Any) -> str:
        self.constants[f"{self.name}/{label}"] = np.ascontiguousarray(array)
        return f"{self.name}/{label}"

    def node(self, op: str, inputs: list[str], label: str, output: str = "", **attributes: Any) -> str:
        made = output or f"{self.name}/{label}"
        self.nodes.append(helper.make_node(op, inputs, [made], name=f"{self.name}/{label}", **attributes))
        return made


Rewrite = Callable[[Graph, NodeProto], _Steps]


def can_rewrite(graph: Graph, node: NodeProto) -> bool:
    """Whether `rewrite` knows this node: a transposed convolution of one of the four kinds, with constant weights."""
    return _kind(graph, node) is not None


def rewrite(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named transposed convolutions as convolutions.

    The new nodes are called NAME/something. The tensors that the named nodes made are still there, unless a ReLU and a last 1×1
    layer were moved before the spreading: these two keep their names and make other tensors.

    Raises:
        ValueError: a named node cannot be rewritten.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        if node.name in gone:
            continue
        if node.name not in names:
            nodes.append(node)
            continue
        kind = _kind(graph, node)
        if kind is None:
            raise ValueError(f"{node.name} ({node.op_type}) is no transposed convolution that can be rewritten")
        steps = kind(graph, node)
        nodes += steps.nodes
        constants |= steps.constants
        gone |= steps.instead_of
    return graph.with_nodes(nodes, constants) if constants else graph


def arithmetic_nodes(graph: Graph, name: str) -> set[str]:
    """The names of the nodes that do the arithmetic of node `name`: itself, or those that it was rewritten into."""
    made = {f"{name}/{label}" for label in ("conv", "gemm", *(f"conv{row}{column}" for row, column in _PARITIES))}
    return {node.name for node in graph.nodes} & (made | {name})


def _kind(graph: Graph, node: NodeProto) -> Rewrite | None:
    if node.op_type != "ConvTranspose" or any(name and name not in graph.constants for name in node.input[1:]):
        return None
    weight = graph.constants[node.input[1]]
    options = attributes(node)
    kernel, spatial = weight.shape[2:], weight.ndim - 2
    strides = list(options.get("strides", [1] * spatial))
    pads = list(options.get("pads", [0] * 2 * spatial))
    plain = (
        options.get("group", 1) == 1
        and set(options.get("dilations", [1])) == {1}
        and not options.get("output_shape")
        and options.get("auto_pad", b"NOTSET") == b"NOTSET"
        and weight.dtype == np.float32
    )
    if not plain or spatial != 2:
        return None
    more = list(options.get("output_padding", [0, 0]))
    size = graph.shapes.get(node.input[0], ())[2:]
    if strides == [2, 2] and pads == [1, 1, 1, 1] and (kernel, more) in (((4, 4), [0, 0]), ((3, 3), [1, 1])):
        return _doubling if size and all(isinstance(length, int) for length in size) else None
    if any(more):
        return None
    if strides == [1, 1] and not any(pads):
        if size == (1, 1):
            return _matrix_product
        if kernel == (1, 1):
            return _convolution
    return None


def _doubling(graph: Graph, node: NodeProto) -> _Steps:
    steps = _Steps(node.name)
    weight = graph.constants[node.input[1]]
    bias = graph.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    height, width = (int(length or 0) for length in graph.shapes[node.input[0]][2:])
    places = (height + 1) * (width + 1)
    together = 16 * places <= _ONE_FOR_ALL * weight.shape[2] * weight.shape[3] * height * width
    make = _one_convolution if together else _four_convolutions
    pixels = make(steps, node.input[0], weight, bias)
    border = [int(together)] * 2
    last = _last_layers(graph, node)
    if last:
        _end_with(steps, graph, *last, pixels, border)
    else:
        _spread(steps, pixels, weight.shape[1], (height + border[0], width + border[1]), border, node.output[0])
    return steps


def _one_convolution(steps: _Steps, source: str, weight: Tensor, bias: Tensor | None) -> str:
    """[B, 4·C, H + 1, W + 1], pixels 2m − 1 before 2m."""
    weight = np.pad(weight, [(0, 0), (0, 0), *[(0, 4 - size) for size in weight.shape[2:]]])
    taps = _TAPS[4][::-1]
    kernels = [weight[:, :, taps[row]][..., taps[column]].swapaxes(0, 1) for row, column in _PARITIES]
    inputs = [source, steps.constant("weight", np.concatenate(kernels))]
    if bias is not None:
        inputs.append(steps.constant("bias", np.tile(bias, 4)))
    return steps.node("Conv", inputs, "conv", kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[1, 1])


def _four_convolutions(steps: _Steps, source: str, weight: Tensor, bias: Tensor | None) -> str:
    """[B, 4·C, H, W], pixels 2m before 2m + 1."""
    taps, pads = _TAPS[weight.shape[2]], _PADS[weight.shape[2]]
    more = [] if bias is None else [steps.constant("bias", bias)]
    parts = []
    for row, column in _PARITIES:
        kernel = weight[:, :, taps[row]][..., taps[column]].swapaxes(0, 1)
        (top, bottom), (left, right) = pads[row], pads[column]
        inputs = [source, steps.constant(f"weight{row}{column}", kernel), *more]
        shape, around = list(kernel.shape[2:]), [top, left, bottom, right]
        parts.append(steps.node("Conv", inputs, f"conv{row}{column}", kernel_shape=shape, pads=around, strides=[1, 1]))
    return steps.node("Concat", parts, "concat", axis=1)


def _spread(steps: _Steps, pixels: str, channels: int, size: tuple[int, int], border: list[int], output: str) -> None:
    """[B, 4·C, H, W] to [B, C, 2·H, 2·W] without the border, by way of arrays whose channels come last."""
    height, width = size
    split, joined = [-1, height, width, 2, 2, channels], [-1, 2 * height, 2 * width, channels]
    x = steps.node("Transpose", [pixels], "channels_last", perm=[0, 2, 3, 1])
    x = steps.node("Reshape", [x, steps.constant("split", split)], "split_channels")
    x = steps.node("Transpose", [x], "spread", perm=[0, 1, 3, 2, 4, 5])
    x = steps.node("Reshape", [x, steps.constant("joined", joined)], "join_pixels")
    if any(border):
        x = _crop(steps, x, border, [1, 2])
    steps.node("Transpose", [x], "channels_first", output, perm=[0, 3, 1, 2])


def _crop(steps: _Steps, x: str, border: list[int], axes: list[int], output: str = "") -> str:
    limits = {"first": border, "last": [-width for width in border], "axes": axes}
    return steps.node("Slice", [x, *(steps.constant(label, limit) for label, limit in limits.items())], "crop", output)


def _last_layers(graph: Graph, node: NodeProto) -> tuple[NodeProto, NodeProto] | None:
    """The ReLU and the 1×1 layer after a node, if nothing else reads its output and the graph gives out the layer's."""
    outputs = {value.name for value in graph.outputs}
    found = []
    for wanted in ("Relu", "ConvTranspose"):
        users = graph.consumers(node.output[0])
        if node.output[0] in outputs or [user.op_type for user in users] != [wanted]:
            return None
        node = users[0]
        found.append(node)
    relu, layer = found
    return (relu, layer) if layer.output[0] in outputs and _kind(graph, layer) is _convolution else None


def _end_with(steps: _Steps, graph: Graph, relu: NodeProto, layer: NodeProto, pixels: str, border: list[int]) -> None:
    """The last layers applied to each quarter of the channels of [B, 4·C, H, W]; their output is spread and cropped."""
    steps.instead_of |= {relu.name, layer.name}
    positive, colours = f"{steps.name}/relu", f"{steps.name}/colours"
    steps.nodes.append(helper.make_node("Relu", [pixels], [positive], name=relu.name))
    weight = graph.constants[layer.input[1]].swapaxes(0, 1)
    inputs = [positive, steps.constant("last_weight", np.tile(weight, (4, 1, 1, 1)))]
    if len(layer.input) > 2 and layer.input[2]:
        inputs.append(steps.constant("last_bias", np.tile(graph.constants[layer.input[2]], 4)))
    steps.nodes.append(helper.make_node("Conv", inputs, [colours], name=layer.name, kernel_shape=[1, 1], group=4))
    output, cropped = layer.output[0], any(border)
    x = steps.node("DepthToSpace", [colours], "depth_to_space", "" if cropped else output, blocksize=2, mode="DCR")
    if cropped:
        _crop(steps, x, border, [2, 3], output)


def _matrix_product(graph: Graph, node: NodeProto) -> _Steps:
    steps = _Steps(node.name)
    weight = graph.constants[node.input[1]]
    size, channels, height, width = weight.shape
    vector = steps.node("Reshape", [node.input[0], steps.constant("flat", [-1, size])], "vector")
    inputs = [vector, steps.constant("weight", weight.reshape(size, -1))]
    if len(node.input) > 2 and node.input[2]:
        inputs.append(steps.constant("bias", np.repeat(graph.constants[node.input[2]], height * width)))
    flat = steps.node("Gemm", inputs, "gemm")
    steps.node("Reshape", [flat, steps.constant("shape", [-1, channels, height, width])], "reshape", node.output[0])
    return steps


def _convolution(graph: Graph, node: NodeProto) -> _Steps:
    steps = _Steps(node.name)
    weight = steps.constant("weight", graph.constants[node.input[1]].swapaxes(0, 1))
    steps.node("Conv", [node.input[0], weight, *node.input[2:]], "conv", node.output[0], kernel_shape=[1, 1])
    return steps
