"""A plan's FP16 nodes made so: a strongly typed graph, with Casts where FP16 and FP32 meet.

A tensor `t` stays float32; its half-precision twin, where a node makes or reads one, is `t.half`. Graph inputs and outputs
are float32 whatever the plan.
"""

from collections.abc import Collection

import numpy as np
from onnx import NodeProto, TensorProto, helper

from voxface.onnx_graph.fp16_emulation import ACCUMULATED, EMULATED
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import Tensor

# Inputs that the operator wants in float32 whatever it computes in.
_STAY_FLOAT = {"Resize": (1, 2)}


def can_lower(graph: Graph, node: NodeProto) -> bool:
    """Whether a node may be FP16: its first output is float32, and its half-precision arithmetic can be emulated."""
    if node.op_type not in EMULATED or not graph.is_float(node.output[0]):
        return False
    return node.op_type not in ACCUMULATED or sum(map(bool, node.output)) == 1


def to_fp16(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named nodes in FP16, Casts at their borders and their weights as float16.

    A weight beyond 65504 becomes infinity: whether that may be is for a measurement to say.

    Raises:
        ValueError: a named node cannot be FP16.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    halves: set[str] = set()  # tensors that have a twin
    made: set[str] = set()  # tensors that a half-precision node makes, and of which only the twin is there

    def half(name: str) -> str:
        twin = f"{name}.half"
        if name not in halves:
            halves.add(name)
            if name in graph.constants:
                with np.errstate(over="ignore"):
                    constants[twin] = graph.constants[name].astype(np.float16)
            else:
                nodes.append(helper.make_node("Cast", [name], [twin], name=f"{name}.to_half", to=TensorProto.FLOAT16))
        return twin

    def single(name: str) -> str:
        if name in made:
            made.remove(name)
            cast = helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.to_float", to=TensorProto.FLOAT)
            nodes.append(cast)
        return name

    for node in graph.nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        if node.name in names:
            if not can_lower(graph, node):
                raise ValueError(f"{node.name} ({node.op_type}) cannot be FP16")
            stay = _STAY_FLOAT.get(node.op_type, ())
            copy.input.extend(
                half(name) if graph.is_float(name) and k not in stay else name for k, name in enumerate(node.input)
            )
            lowered = [name for name in node.output if graph.is_float(name)]
            copy.output.extend(f"{name}.half" if name in lowered else name for name in node.output)
            halves.update(lowered)
            made.update(lowered)
        elif node.op_type in ("Shape", "Size") and node.input[0] in made:  # its dtype does not matter
            copy.input.append(f"{node.input[0]}.half")
            copy.output.extend(node.output)
        else:
            copy.input.extend(single(name) for name in node.input)
            copy.output.extend(node.output)
        nodes.append(copy)
    for value in graph.outputs:
        single(value.name)
    return graph.with_nodes(nodes, constants)
