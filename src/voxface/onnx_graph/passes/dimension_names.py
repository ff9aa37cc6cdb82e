"""Names of the dimensions of a graph whose length is free."""

from collections.abc import Mapping
from dataclasses import replace

from onnx import ValueInfoProto

from voxface.onnx_graph.graph import Graph


def name_dimensions(graph: Graph, names: Mapping[str, Mapping[int, str]], *, other: str) -> Graph:
    """The graph with the free dimensions of its inputs and outputs called as asked for, since exporters make up names.

    Args:
        names: input -> axis -> name. A dimension of an output that had the same name as one of these gets the new one too.
        other: what all other free dimensions of outputs are called.
    """
    found: dict[str, str] = {}
    inputs = [_copy(value) for value in graph.inputs]
    for value in inputs:
        for axis, name in names.get(value.name, {}).items():
            dimension = value.type.tensor_type.shape.dim[axis]
            found[dimension.dim_param] = name
            dimension.dim_param = name
    outputs = [_copy(value) for value in graph.outputs]
    for value in outputs:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = found.get(dimension.dim_param, other)
    return replace(graph, inputs=tuple(inputs), outputs=tuple(outputs)).inferred()


def _copy(value: ValueInfoProto) -> ValueInfoProto:
    copy = ValueInfoProto()
    copy.CopyFrom(value)
    return copy
