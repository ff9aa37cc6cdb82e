"""The graphs of a bundle in lowered precision, for any choice of nodes."""

from collections.abc import Collection, Iterable, Mapping

from voxface.calibration.pipeline import Runner
from voxface.calibration.tensor_ranges import Range, record
from voxface.onnx_graph.fp16_emulation import Fp16Emulator
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import NodeRunner, Tensor
from voxface.onnx_graph.passes.fp16 import can_lower, to_fp16
from voxface.onnx_graph.passes.int8 import WEIGHT_BITS, can_quantise, gives_out, int8_region, to_int8
from voxface.onnx_graph.passes.sub_pixel import arithmetic_nodes, can_rewrite, rewrite
from voxface.runtime.engines.opening import open_engine

Key = tuple[str, str]  # graph, node


class Lowering:
    """Makes graphs with some nodes in INT8 and some in FP16.

    Attributes:
        graphs: name -> the FP32 graph.
        ranges: graph -> tensor -> its range on the calibration clips.
    """

    def __init__(self, graphs: Mapping[str, Graph], *, weight_bits: int = WEIGHT_BITS) -> None:
        self.graphs = dict(graphs)
        self.ranges: dict[str, dict[str, Range]] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self._weight_bits = weight_bits
        self._node_runner: dict[int, NodeRunner] = {}

    def observe(self, name: str, feeds: Iterable[Mapping[str, Tensor]]) -> None:
        """Records the ranges of a graph as it is and, beside, of what INT8 would make of its transposed convolutions."""
        graph, feeds = self.graphs[name], list(feeds)
        rewritten = _rewritten(graph, {node for at, node in self.int8_candidates() if at == name})
        found = record(rewritten, feeds)
        self.ranges[name] = found if rewritten is graph else found | record(graph, feeds)
        self._limits[name] = {tensor: found.int8_limit() for tensor, found in self.ranges[name].items()}

    def int8_candidates(self) -> list[Key]:
        """The nodes that may be INT8."""
        return [
            (name, node.name)
            for name, graph in self.graphs.items()
            for node in graph.nodes
            if can_quantise(graph, node) or (can_rewrite(graph, node) and not gives_out(graph, node))
        ]

    def products(self, key: Key) -> float:
        """Multiplications of an INT8 candidate on the longest clip, which is what INT8 makes cheaper."""
        name, at = key
        node = next(node for node in self.graphs[name].nodes if node.name == at)
        weight = self.graphs[name].constants[node.input[1]]
        if weight.ndim == 2:
            return float(weight.size)
        # Each output of a convolution, and each input of a transposed one, meets the weights of its channel.
        places = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
        return float(self.ranges[name][places].size * weight.size / weight.shape[0])

    def fp16_candidates(self, int8: Collection[Key] = ()) -> list[Key]:
        """The nodes that may be FP16 beside the INT8 ones and what lies between those."""
        found: list[Key] = []
        for name, graph in self.graphs.items():
            lowered = self.graph(name, int8, ())
            region = int8_region(lowered)
            left = {node.name for node in lowered.nodes} - region - {node for at, node in int8 if at == name}
            found += [(name, node.name) for node in graph.nodes if node.name in left and can_lower(graph, node)]
        return found

    def between(self, int8: Collection[Key]) -> set[Key]:
        """Nodes that are not INT8 themselves, but whose data comes and goes as INT8."""
        own = {
            (name, node)
            for name, graph in self.graphs.items()
            for node in int8_region(self.graph(name, int8, ())) & {node.name for node in graph.nodes}
        }
        return own - set(int8)

    def graph(self, name: str, int8: Collection[Key], fp16: Collection[Key]) -> Graph:
        """One graph in lowered precision; the FP32 graph itself where nothing of it is lowered."""
        graph = self.graphs[name]
        quantised = [node for at, node in int8 if at == name]
        halves = [node for at, node in fp16 if at == name]
        if quantised:
            graph = _rewritten(graph, quantised)
            names = set[str]().union(*(arithmetic_nodes(graph, node) for node in quantised))
            graph = to_int8(graph, names, self._limits[name], weight_bits=self._weight_bits)
        return to_fp16(graph, halves) if halves else graph

    def runners(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """What measures each graph that is lowered: the emulator where nodes are FP16, else ONNX Runtime."""
        halves = {at for at, _ in fp16}
        names = {at for at, _ in (*int8, *fp16)}
        return {name: (self._emulator if name in halves else self._engine)(name, int8, fp16) for name in names}

    def engines(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """ONNX Runtime for each graph that is lowered: integer arithmetic as this CPU has it, FP16 in FP32."""
        return {name: self._engine(name, int8, fp16) for name in {at for at, _ in (*int8, *fp16)}}

    def emulators(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """The emulator for each graph that is lowered: INT8 without saturation, FP16 as a device computes it."""
        return {name: self._emulator(name, int8, fp16) for name in {at for at, _ in (*int8, *fp16)}}

    def _engine(self, name: str, int8: Collection[Key], fp16: Collection[Key]) -> Runner:
        return open_engine(self.graph(name, int8, fp16).model().SerializeToString(), name=name)

    def _emulator(self, name: str, int8: Collection[Key], fp16: Collection[Key]) -> Runner:
        graph = self.graph(name, int8, fp16)
        return Fp16Emulator(graph, self._node_runner.setdefault(graph.opset, NodeRunner(graph.opset)))


def _rewritten(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with those of the named nodes as convolutions that are transposed ones."""
    return rewrite(graph, [node.name for node in graph.nodes if node.name in names and can_rewrite(graph, node)])
