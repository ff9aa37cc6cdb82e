"""Several graphs as one: a first graph, and others whose only input is one of its outputs."""

from collections.abc import Iterable, Mapping

from onnx import NodeProto, ValueInfoProto

from voxface.onnx_graph.graph import Graph, rewired
from voxface.onnx_graph.node_runner import Tensor
from voxface.runtime.errors import BundleError


def fuse(graphs: Mapping[str, Graph], link: str) -> Graph:
    """One graph with the inputs of the first graph and the outputs of all.

    Nodes and inner tensors are called NAME/something, by the name of the graph they come from; inputs and outputs keep their
    names.

    Args:
        graphs: name -> graph; the first computes the tensor `link`, the others read it.
        link: the tensor that goes from the first graph to the others.

    Raises:
        BundleError: the graphs do not fit together.
    """
    source, first = next(iter(graphs.items()))
    opsets = {name: graph.opset for name, graph in graphs.items()}
    if len(set(opsets.values())) > 1:
        raise BundleError(f"the graphs use different versions of ONNX's operators ({opsets}); export them together")
    if link not in {value.name for value in first.outputs}:
        raise BundleError(f"{source}: the graph has no output {link!r}")
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    outputs: list[ValueInfoProto] = []
    for name, graph in graphs.items():
        if name != source and [value.name for value in graph.inputs] != [link]:
            raise BundleError(f"{name}: the graph's input is not {link!r} alone")
        public = {value.name for value in (*graph.inputs, *graph.outputs)}
        inner = {tensor for node in graph.nodes for tensor in (*node.input, *node.output) if tensor} - public
        renamed = {tensor: f"{name}/{tensor}" for tensor in inner | graph.constants.keys() - public}
        for node in graph.nodes:
            copy = rewired(node, _each(node.input, renamed), _each(node.output, renamed))
            copy.name = f"{name}/{node.name}"
            nodes.append(copy)
        constants |= {renamed.get(tensor, tensor): array for tensor, array in graph.constants.items()}
        outputs += graph.outputs
    return Graph(tuple(nodes), constants, first.inputs, tuple(outputs), first.opset, {}, {}).inferred()


def _each(tensors: Iterable[str], renamed: Mapping[str, str]) -> list[str]:
    return [renamed.get(tensor, tensor) for tensor in tensors]
