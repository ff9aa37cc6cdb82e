"""A linear map applied to an output of a graph."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from voxface.onnx_graph.graph import Graph, rewired
from voxface.onnx_graph.node_runner import FLOAT


def map_output(
    graph: Graph, output: str, matrix: NDArray[np.float32], offset: NDArray[np.float32], *, name: str
) -> Graph:
    """The graph with `matrix` · x + `offset` in place of its output x.

    Args:
        output: a float32 output [B, Q] that a node makes; it keeps its name and becomes [B, P].
        matrix: float32 [P, Q].
        offset: float32 [P].
        name: what the new node and its constants are called.

    Raises:
        ValueError: the graph has no such output.
    """
    value = next((value for value in graph.outputs if value.name == output), None)
    rank, width = len(graph.shapes.get(output, ())), graph.shapes.get(output, (None,))[-1]
    if value is None or rank != 2 or (isinstance(width, int) and width != matrix.shape[1]):
        raise ValueError(f"the graph has no output {output} [B, {matrix.shape[1]}]")
    inner, node_name = graph.unused(f"{output}.base"), graph.unused(name)
    weights = [graph.unused(f"{name}.matrix"), graph.unused(f"{name}.offset")]
    renamed = {output: inner}
    nodes = [
        rewired(node, *([renamed.get(tensor, tensor) for tensor in tensors] for tensors in (node.input, node.output)))
        for node in graph.nodes
    ]
    nodes.append(helper.make_node("Gemm", [inner, *weights], [output], node_name, transB=1))
    batch = graph.shapes[output][0]
    mapped = helper.make_tensor_value_info(output, FLOAT, ["B" if batch is None else batch, len(offset)])
    outputs = tuple(mapped if each is value else each for each in graph.outputs)
    constants = dict(zip(weights, (np.ascontiguousarray(matrix), np.ascontiguousarray(offset)), strict=True))
    return replace(graph, outputs=outputs).with_nodes(nodes, constants)
