"""The three graphs of a bundle as one: log-mel in, embedding, columns, picture and coefficients out.

On a GPU each graph is a launch, a copy in, a copy out and a wait; one graph is one of each, and TensorRT sees through what
lies between. On the CPU, where calling a graph takes a hundredth of a millisecond, it gains nothing.
"""

from collections.abc import Mapping

from onnx import NodeProto, ValueInfoProto

from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import Tensor
from voxface.runtime.bundle.bundle import FUSED, GRAPHS, Bundle
from voxface.runtime.bundle.manifest import GraphEntry
from voxface.runtime.errors import BundleError

LINK = "embedding"


def fuse(graphs: Mapping[str, bytes]) -> bytes:
    """One ONNX file of "encoder", "face" and "mesh": the encoder's input, everybody's outputs.

    Raises:
        BundleError: a graph is not valid, or the three do not fit together.
    """
    parts = {name: Graph.from_bytes(graphs[name], name=name) for name in GRAPHS}
    encoder = parts["encoder"]
    opsets = {name: part.opset for name, part in parts.items()}
    if len(set(opsets.values())) > 1:
        raise BundleError(f"the graphs use different versions of ONNX's operators ({opsets}); export them together")
    if LINK not in {value.name for value in encoder.outputs}:
        raise BundleError(f"encoder: the graph has no output {LINK!r}")
    nodes: list[NodeProto] = []
    constants: dict[str, Tensor] = {}
    outputs: list[ValueInfoProto] = []
    for name, part in parts.items():
        if name != "encoder" and [value.name for value in part.inputs] != [LINK]:
            raise BundleError(f"{name}: the graph's input is not {LINK!r} alone")
        public = {value.name for value in (*part.inputs, *part.outputs)}

        def renamed(tensor: str, prefix: str = name, public: set[str] = public) -> str:
            return tensor if not tensor or tensor in public else f"{prefix}/{tensor}"

        for node in part.nodes:
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{name}/{node.name}"
            copy.input[:] = [renamed(tensor) for tensor in node.input]
            copy.output[:] = [renamed(tensor) for tensor in node.output]
            nodes.append(copy)
        constants |= {renamed(tensor): array for tensor, array in part.constants.items()}
        outputs += part.outputs
    whole = Graph(tuple(nodes), constants, encoder.inputs, tuple(outputs), encoder.opset, {}, {})
    return whole.inferred().to_bytes(fp16_storage=True)


def with_fused(bundle: Bundle) -> Bundle:
    """The bundle, in memory, with the fused graph in it; as it is if it has the right one already."""
    if bundle.fused:
        return bundle
    graphs = bundle.manifest.graphs
    outputs = {name: tensor for graph in GRAPHS for name, tensor in graphs[graph].outputs.items()}
    entry = GraphEntry(
        file=f"{FUSED}.onnx", inputs=graphs["encoder"].inputs, outputs=outputs, of=bundle.graph_digests()
    )
    return bundle.replacing(
        files={entry.file: fuse({name: bundle.graph(name) for name in GRAPHS})}, graphs={FUSED: entry}
    )
