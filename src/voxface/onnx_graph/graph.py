"""A graph that can be rewritten: constants folded, every node named, every tensor's type known.

Bundles may store weights in FP16 with a Cast to FP32. `Graph.from_bytes` folds these Casts, so that weights are plain float32
arrays; `voxface.onnx_graph.passes.fp16.store_fp16` adds them again before a graph is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import onnx
from onnx import NodeProto, ValueInfoProto, helper, numpy_helper

from voxface.onnx_graph.node_runner import FLOAT, NodeRunner, Tensor
from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.errors import BundleError

_SMALL = 64  # numbers of a constant that may be a shape or an axis
_UNFOLDED = {"RandomNormal", "RandomUniform", "QuantizeLinear", "DequantizeLinear"}
_IR_VERSION = 10


@dataclass(frozen=True)
class Graph:
    """An ONNX graph. A change makes a new graph, which shares the arrays with the old one.

    Attributes:
        nodes: in an order in which they can run, each with a name of its own.
        constants: name -> array.
        inputs, outputs: the graph's inputs and outputs, with types and shapes.
        opset: version of the ONNX operators.
        types: ONNX element type of every tensor whose type is known.
        shapes: shape of every tensor whose rank is known. An entry is a number, the name of a free dimension, or None.
    """

    nodes: tuple[NodeProto, ...]
    constants: dict[str, Tensor]
    inputs: tuple[ValueInfoProto, ...]
    outputs: tuple[ValueInfoProto, ...]
    opset: int
    types: dict[str, int]
    shapes: dict[str, tuple[int | str | None, ...]]

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "graph") -> Self:
        """Reads an ONNX file, folds constants, names nodes without a name, and infers types and shapes.

        Documentation strings and metadata, in which exporters leave source lines and module names, are dropped.

        Args:
            data: the file's bytes.
            name: what error messages call the graph.

        Raises:
            BundleError: no ONNX file, operators of another domain, a graph within a node, or a node that does not run.
        """
        try:
            check_onnx_file(data)
            model = onnx.load_model_from_string(data)
            onnx.checker.check_model(model)
        except Exception as error:  # protobuf and the checker have classes of their own
            raise BundleError(f"{name}: not a valid ONNX graph ({str(error).strip().splitlines()[0]})") from error
        for node in model.graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise BundleError(
                    f"{name}: operator {node.domain}::{node.op_type}; only standard ONNX can be rewritten"
                )
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise BundleError(f"{name}: {node.op_type} holds a graph of its own; control flow cannot be rewritten")
        for value in (*model.graph.input, *model.graph.output):
            value.ClearField("doc_string")
            value.ClearField("metadata_props")
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        nodes, constants = _fold(_named(model.graph.node), constants, NodeRunner(opset))
        inputs = tuple(value for value in model.graph.input if value.name not in constants)
        graph = cls(nodes, constants, inputs, tuple(model.graph.output), opset, {}, {})
        try:
            return graph.inferred()
        except onnx.shape_inference.InferenceError as error:
            raise BundleError(
                f"{name}: its types do not fit together ({str(error).strip().splitlines()[0]})"
            ) from error

    def inferred(self) -> Self:
        """The same graph without unused constants, its types and shapes inferred anew."""
        used = {name for node in self.nodes for name in node.input} | {value.name for value in self.outputs}
        kept = replace(self, constants={k: v for k, v in self.constants.items() if k in used})
        types = {name: int(helper.np_dtype_to_tensor_dtype(x.dtype)) for name, x in kept.constants.items()}
        shapes: dict[str, tuple[int | str | None, ...]] = {name: x.shape for name, x in kept.constants.items()}
        # Large constants tell shape inference no more than an input does, and need not be copied for it.
        large = {name for name, x in kept.constants.items() if x.size > _SMALL}
        stands = [helper.make_tensor_value_info(name, types[name], shapes[name]) for name in sorted(large)]
        bare = replace(
            kept,
            inputs=(*self.inputs, *stands),
            constants={name: x for name, x in kept.constants.items() if name not in large},
        )
        model = onnx.shape_inference.infer_shapes(bare.model(), strict_mode=True, data_prop=True)
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
            tensor = value.type.tensor_type
            types[value.name] = tensor.elem_type
            if tensor.HasField("shape"):
                shapes[value.name] = tuple(
                    d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim
                )
        return replace(kept, types=types, shapes=shapes)

    def model(self) -> Any:
        """The graph as an ONNX model."""
        graph = helper.make_graph(
            list(self.nodes),
            "voxface",
            list(self.inputs),
            list(self.outputs),
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="voxface", ir_version=_IR_VERSION
        )

    def to_bytes(self) -> bytes:
        """The ONNX file, checked; the same graph gives the same bytes.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is not well typed.
        """
        model = self.model()
        onnx.checker.check_model(model, full_check=True)  # strict shape and type inference included
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.input]

    def is_float(self, tensor: str) -> bool:
        """Whether a tensor is float32."""
        return self.types.get(tensor) == FLOAT

    def with_nodes(self, nodes: Iterable[NodeProto], constants: dict[str, Tensor]) -> Self:
        """The graph with other nodes and further constants, inferred."""
        return replace(self, nodes=tuple(nodes), constants={**self.constants, **constants}).inferred()

    def unused(self, name: str) -> str:
        """A name that no tensor and no node has: `name`, or `name` with underscores after it."""
        taken = self.types.keys() | {node.name for node in self.nodes}
        taken |= {tensor for node in self.nodes for tensor in (*node.input, *node.output)}
        while name in taken:
            name += "_"
        return name


def attributes(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values: name -> value."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def rewired(node: NodeProto, inputs: Iterable[str], outputs: Iterable[str]) -> NodeProto:
    """A copy of a node that reads and writes other tensors."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:], copy.output[:] = list(inputs), list(outputs)
    return copy


def show_tensors(model: Any, tensors: Iterable[str]) -> bytes:
    """An ONNX file that gives out these tensors in place of the model's outputs, so that their values can be recorded."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(ValueInfoProto(name=name) for name in tensors)
    data: bytes = shown.SerializeToString()
    return data


def _named(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """Copies of nodes, each with a name of its own and without the exporter's notes."""
    taken: set[str] = set()
    named = []
    for index, node in enumerate(nodes):
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.doc_string = ""
        del copy.metadata_props[:]
        name = copy.name or f"{node.op_type.lower()}_{index}"
        while name in taken:
            name += "_"
        taken.add(name)
        copy.name = name
        named.append(copy)
    return named


def _fold(
    nodes: list[NodeProto], constants: dict[str, Tensor], node_runner: NodeRunner
) -> tuple[tuple[NodeProto, ...], dict[str, Tensor]]:
    """Runs every node whose inputs are all constant."""
    constants = dict(constants)
    left = []
    for node in nodes:
        if node.op_type in _UNFOLDED or any(name and name not in constants for name in node.input):
            left.append(node)
            continue
        if node.op_type == "Cast" and constants[node.input[0]].dtype == np.float16 and attributes(node)["to"] == FLOAT:
            # The Cast of a stored weight: exact without ONNX Runtime too, which a machine with TensorRT may lack.
            constants[node.output[0]] = constants[node.input[0]].astype(np.float32)
            continue
        results = node_runner.run(node, [constants[name] if name else None for name in node.input])
        constants |= {name: array for name, array in zip(node.output, results, strict=True) if name}
    return tuple(left), constants
