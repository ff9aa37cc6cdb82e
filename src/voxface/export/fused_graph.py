"""A bundle's three graphs as one: log-mel in; embedding, frame embeddings, image and coefficients out.

On a GPU every graph costs a launch, a copy in, a copy out and a wait. One graph costs these once, and TensorRT can optimise
across the borders of the three. On the CPU, where calling a graph takes a hundredth of a millisecond, nothing is gained.
"""

from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.fp16 import store_fp16
from voxface.onnx_graph.passes.fusion import fuse
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.bundle.manifest import FUSED, GRAPHS

LINK = "embedding"  # the tensor that goes from the encoder to the other two


def with_fused(bundle: Bundle) -> Bundle:
    """The bundle, in memory, with the fused graph; the same bundle if it already has the one that fits its graphs.

    Raises:
        BundleError: a graph is not valid, or the three do not fit together.
    """
    if bundle.fused:
        return bundle
    parts = {name: Graph.from_bytes(bundle.graph(name), name=name) for name in GRAPHS}
    fused = store_fp16(fuse(parts, LINK)).to_bytes()
    graphs = bundle.manifest.graphs
    outputs = {name: tensor for graph in GRAPHS for name, tensor in graphs[graph].outputs.items()}
    entry = GraphEntry(
        file=f"{FUSED}.onnx", inputs=graphs["encoder"].inputs, outputs=outputs, of=bundle.graph_digests()
    )
    return bundle.replacing(files={entry.file: fused}, graphs={FUSED: entry})
