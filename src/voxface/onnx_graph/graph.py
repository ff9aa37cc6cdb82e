"""A graph to be changed: constants folded, every node named, every tensor's type known.

Bundles may keep weights in half precision with a Cast to float; here they are plain float32 arrays again, and writing a
graph stores those that half precision holds exactly in half precision once more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from voxface.onnx_graph.node_runner import FLOAT, NodeRunner, Tensor
from voxface.runtime.errors import BundleError

FP16_FROM = 1024  # numbers; smaller tensors are not worth a Cast
_SMALL = 64  # numbers of a constant that may be a shape or an axis
_UNFOLDED = {"RandomNormal", "RandomUniform", "QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class Graph:
    """An ONNX graph as calibration sees it. Changes make a new graph that shares the arrays.

    Attributes:
        nodes: in an order in which they can run, each with a name of its own.
        constants: name -> array.
        inputs, outputs: the graph's, with types and shapes.
        opset: version of the ONNX operators.
        types: ONNX element type of every tensor, where it is known.
        shapes: shape of every tensor where its rank is known; None or a name for a length that is not.
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
        """Reads an ONNX file, folds what is constant, names the nameless and infers types and shapes.

        Raises:
            BundleError: no ONNX file, operators of another domain, a graph within a node, or a node that does not run.
        """
        try:
            model = onnx.load_model_from_string(data)
            onnx.checker.check_model(model)
        except Exception as error:  # protobuf and the checker have classes of their own
            raise BundleError(f"{name}: not a valid ONNX graph ({str(error).strip().splitlines()[0]})") from error
        for node in model.graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise BundleError(
                    f"{name}: operator {node.domain}::{node.op_type}; only standard ONNX can be calibrated"
                )
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise BundleError(f"{name}: {node.op_type} holds a graph of its own; control flow cannot be calibrated")
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
        """The same graph without unused constants, types and shapes inferred anew."""
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
            graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="voxface", ir_version=10
        )

    def to_bytes(self, *, fp16_storage: bool = False) -> bytes:
        """The ONNX file, checked; the same graph gives the same bytes.

        Args:
            half_storage: store large float32 constants that float16 holds exactly as float16 and a Cast.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: the graph is not well typed.
        """
        model = (_half_stored(self) if fp16_storage else self).model()
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
        results = node_runner.run(node, [constants[name] if name else None for name in node.input])
        constants |= {name: array for name, array in zip(node.output, results, strict=True) if name}
    return tuple(left), constants


def _half_stored(graph: Graph) -> Graph:
    casts, constants = [], {}
    for name, array in graph.constants.items():
        if array.dtype == np.float32 and array.size >= FP16_FROM and fp16_holds(array):
            constants[f"{name}.stored"] = array.astype(np.float16)
            casts.append(
                helper.make_node("Cast", [f"{name}.stored"], [name], name=f"{name}.load", to=TensorProto.FLOAT)
            )
        else:
            constants[name] = array
    return replace(graph, nodes=(*casts, *graph.nodes), constants=constants)


def fp16_holds(array: NDArray[np.float32]) -> bool:
    """Whether half precision holds every number of an array exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(np.float16).astype(np.float32), array))
