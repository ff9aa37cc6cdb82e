"""A part of a graph as a graph of its own: what computes some tensors from some others, to be run and timed alone."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from onnx import NodeProto, helper

from voxface.onnx_graph.graph import Graph


def can_cut(graph: Graph, inputs: Collection[str], outputs: Sequence[str]) -> bool:
    """Whether `cut` takes these tensors: all of them are there, and nothing else is needed to compute the outputs."""
    return _between(graph, inputs, outputs) is not None


def cut(graph: Graph, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    """The nodes that compute `outputs` from `inputs`, as a graph with these inputs and outputs.

    Raises:
        ValueError: a tensor is not there, or computing the outputs needs another input of the graph.
    """
    nodes = _between(graph, inputs, outputs)
    if nodes is None:
        raise ValueError(f"{', '.join(outputs)} cannot be computed from {', '.join(inputs)} alone")
    values = {
        name: helper.make_tensor_value_info(name, graph.types[name], graph.shapes.get(name))
        for name in (*inputs, *outputs)
    }
    part = replace(
        graph,
        nodes=tuple(nodes),
        inputs=tuple(values[name] for name in inputs),
        outputs=tuple(values[name] for name in outputs),
    )
    return part.inferred()


def _between(graph: Graph, inputs: Collection[str], outputs: Sequence[str]) -> list[NodeProto] | None:
    """The nodes between, in order; None if a tensor that is neither constant nor among `inputs` is needed."""
    makers = {name: node for node in graph.nodes for name in node.output if name}
    given = {value.name for value in graph.inputs} | makers.keys()
    if not set(inputs) <= given or not all(name in makers and name not in inputs for name in outputs):
        return None
    wanted: set[str] = set()
    left = list(outputs)
    while left:
        name = left.pop()
        if not name or name in inputs or name in graph.constants:
            continue
        maker = makers.get(name)
        if maker is None:
            return None
        if maker.name not in wanted:
            wanted.add(maker.name)
            left += maker.input
    return [node for node in graph.nodes if node.name in wanted]
