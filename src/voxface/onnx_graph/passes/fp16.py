"""FP16 in a graph: nodes that compute in FP16, and large constants that are only stored in FP16.

`to_fp16` makes a strongly typed graph, with Casts where FP16 and FP32 meet. A tensor `t` stays float32; its FP16 twin, where a
node makes or reads one, is `t.half`. Graph inputs and outputs are float32 whatever runs in FP16.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from voxface.onnx_graph.fp16_emulation import ACCUMULATED, EMULATED
from voxface.onnx_graph.graph import Graph, rewired
from voxface.onnx_graph.node_runner import FLOAT, FLOAT16, Tensor

FP16_FROM = 1024  # numbers; smaller tensors are not worth a Cast

# Inputs that the operator wants in float32 whatever it computes in.
_STAY_FLOAT = {"Resize": (1, 2)}


def can_lower(graph: Graph, node: NodeProto) -> bool:
    """Whether `to_fp16` takes a node: its first output is float32, and its FP16 arithmetic can be emulated."""
    if node.op_type not in EMULATED or not graph.is_float(node.output[0]):
        return False
    return node.op_type not in ACCUMULATED or sum(map(bool, node.output)) == 1


def to_fp16(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the named nodes in FP16, Casts at their borders, and their weights as float16.

    A weight beyond 65504 becomes infinity: whether that does harm is for a measurement to say.

    Raises:
        ValueError: a named node cannot be FP16.
    """
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    twinned: set[str] = set()  # tensors that have an FP16 twin
    only_fp16: set[str] = set()  # tensors of which only the FP16 twin is there, since an FP16 node makes them

    def fp16(name: str) -> str:
        twin = f"{name}.half"
        if name not in twinned:
            twinned.add(name)
            if name in graph.constants:
                with np.errstate(over="ignore"):
                    constants[twin] = graph.constants[name].astype(np.float16)
            else:
                nodes.append(helper.make_node("Cast", [name], [twin], name=f"{name}.to_half", to=FLOAT16))
        return twin

    def fp32(name: str) -> str:
        if name in only_fp16:
            only_fp16.remove(name)
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.to_float", to=FLOAT))
        return name

    for node in graph.nodes:
        inputs, outputs = list(node.input), list(node.output)
        if node.name in names:
            if not can_lower(graph, node):
                raise ValueError(f"{node.name} ({node.op_type}) cannot be FP16")
            stay = _STAY_FLOAT.get(node.op_type, ())
            inputs = [fp16(name) if graph.is_float(name) and k not in stay else name for k, name in enumerate(inputs)]
            lowered = [name for name in outputs if graph.is_float(name)]
            outputs = [f"{name}.half" if name in lowered else name for name in outputs]
            twinned.update(lowered)
            only_fp16.update(lowered)
        elif node.op_type in ("Shape", "Size") and node.input[0] in only_fp16:  # its dtype does not matter
            inputs = [f"{node.input[0]}.half"]
        else:
            inputs = [fp32(name) for name in inputs]
        nodes.append(rewired(node, inputs, outputs))
    for value in graph.outputs:
        fp32(value.name)
    return graph.with_nodes(nodes, constants)


def store_fp16(graph: Graph) -> Graph:
    """The graph with large float32 constants as float16 and a Cast, wherever FP16 holds them exactly.

    The file is half as large and the arithmetic stays FP32: a runtime folds the Casts when it loads the graph.
    """
    casts: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    for name, array in graph.constants.items():
        if array.dtype == np.float32 and array.size >= FP16_FROM and fp16_holds(array):
            constants[f"{name}.stored"] = array.astype(np.float16)
            casts.append(helper.make_node("Cast", [f"{name}.stored"], [name], name=f"{name}.load", to=FLOAT))
        else:
            constants[name] = array
    return replace(graph, nodes=(*casts, *graph.nodes), constants=constants).inferred()


def fp16_holds(array: NDArray[np.float32]) -> bool:
    """Whether FP16 holds every number of an array exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(np.float16).astype(np.float32), array))
