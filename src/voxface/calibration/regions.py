"""Regions: a layer of a graph with what an engine fuses into it. A region gets one form, and is timed as one."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from onnx import NodeProto

from voxface.calibration.lowering import Key
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.sub_pixel import can_rewrite, rewrite

ARITHMETIC: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Region:
    """A layer and the nodes after it up to the next layer.

    Attributes:
        graph: name of the graph.
        name: name of the first layer's node.
        nodes: names of all nodes, in the order of the graph.
        layers: those of them that are layers: one, or two where rewriting the first one changes the second as well.
        source: the tensor that it reads.
        result: the tensor that it makes.
    """

    graph: str
    name: str
    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    source: str
    result: str

    @property
    def key(self) -> Key:
        """Graph and name."""
        return self.graph, self.name


def regions(graph: Graph, name: str) -> list[Region]:
    """The regions of a graph called `name`, in its order. Nodes that are in none, as sums over time, are not timed alone."""
    found: list[Region] = []
    for node in graph.nodes:
        if is_layer(graph, node):
            region = _region(graph, name, node)
            apart = not found or found[-1].result != region.source or _stays(graph, found[-1])
            found.append(region if apart else joined(found.pop(), region))
    return found


def is_layer(graph: Graph, node: NodeProto) -> bool:
    """Whether a node is a convolution or a matrix product with constant weights."""
    return (
        node.op_type in ARITHMETIC
        and len(node.input) > 1
        and node.input[1] in graph.constants
        and node.input[0] not in graph.constants
    )


def joined(one: Region, other: Region) -> Region:
    """A region and the one that reads its result, as one."""
    nodes, layers = (*one.nodes, *other.nodes), (*one.layers, *other.layers)
    return Region(one.graph, one.name, nodes, layers, one.source, other.result)


def neighbours(found: Collection[Region]) -> dict[Key, Key]:
    """Region -> the region whose result it reads, where it reads one's."""
    makers = {(region.graph, region.result): region.key for region in found}
    return {
        region.key: makers[region.graph, region.source] for region in found if (region.graph, region.source) in makers
    }


def _region(graph: Graph, name: str, layer: NodeProto) -> Region:
    outputs = {value.name for value in graph.outputs}
    nodes, result = [layer.name], layer.output[0]
    while result not in outputs:
        users = graph.consumers(result)
        if len(users) != 1 or is_layer(graph, users[0]) or not _only_reads(graph, users[0], result):
            break
        nodes.append(users[0].name)
        result = users[0].output[0]
    return Region(name, layer.name, tuple(nodes), (layer.name,), layer.input[0], result)


def _only_reads(graph: Graph, node: NodeProto, tensor: str) -> bool:
    others = [read for read in node.input if read and read != tensor]
    return len([made for made in node.output if made]) == 1 and all(read in graph.constants for read in others)


def _stays(graph: Graph, region: Region) -> bool:
    """Whether the region's result is still there when its transposed convolutions have become convolutions."""
    by_name = {node.name: node for node in graph.nodes}
    transposed = [layer for layer in region.layers if can_rewrite(graph, by_name[layer])]
    made = {tensor for node in rewrite(graph, transposed).nodes for tensor in node.output}
    return region.result in made
