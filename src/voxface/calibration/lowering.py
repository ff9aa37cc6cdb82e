"""The graphs of a bundle with any choice of nodes in lower precision, INT8 or FP16."""

from collections.abc import Collection, Iterable, Mapping

from voxface.calibration.int8_ranges import TensorRange, record_ranges
from voxface.calibration.task_error import Runner
from voxface.onnx_graph.fp16_emulation import Fp16Emulator
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import NodeRunner, Tensor
from voxface.onnx_graph.passes.fp16 import can_lower, to_fp16
from voxface.onnx_graph.passes.int8 import WEIGHT_BITS, can_quantise, gives_out, int8_region, to_int8
from voxface.onnx_graph.passes.sub_pixel import arithmetic_nodes, can_rewrite, rewrite
from voxface.runtime.engines.opening import open_engine

Key = tuple[str, str]  # graph, node


class Lowering:
    """Makes graphs with some nodes in INT8 and some in FP16. A node is named by a `Key`: its graph and its name.

    Attributes:
        graphs: name -> the FP32 graph.
        ranges: graph -> tensor -> its range on the calibration clips.
    """

    def __init__(self, graphs: Mapping[str, Graph], *, weight_bits: int = WEIGHT_BITS, int8: bool = True) -> None:
        """Takes the FP32 graphs.

        Args:
            graphs: name -> graph.
            weight_bits: bits of INT8 weights, 7 or 8.
            int8: whether nodes may be INT8; if not, the ranges that only INT8 needs are not recorded.
        """
        self.graphs = dict(graphs)
        self.ranges: dict[str, dict[str, TensorRange]] = {}
        self._limits: dict[str, dict[str, float]] = {}
        self._weight_bits, self._int8 = weight_bits, int8
        self._node_runners: dict[int, NodeRunner] = {}

    def observe(self, name: str, feeds: Iterable[Mapping[str, Tensor]]) -> None:
        """Records the ranges of a graph, and those of the graph with its transposed convolutions rewritten as INT8 has them."""
        graph, feeds = self.graphs[name], list(feeds)
        rewritten = _rewritten(graph, {node for at, node in self.int8_candidates() if at == name})
        found = record_ranges(rewritten, feeds)
        self.ranges[name] = found if rewritten is graph else found | record_ranges(graph, feeds)
        if self._int8:
            self._limits[name] = {tensor: found.int8_limit() for tensor, found in self.ranges[name].items()}

    def int8_candidates(self) -> list[Key]:
        """The nodes that may be INT8."""
        if not self._int8:
            return []
        return [
            (name, node.name)
            for name, graph in self.graphs.items()
            for node in graph.nodes
            if can_quantise(graph, node) or (can_rewrite(graph, node) and not gives_out(graph, node))
        ]

    def products(self, key: Key) -> float:
        """How many multiplications an INT8 candidate does on the longest clip: INT8 makes them cheaper."""
        name, at = key
        node = next(node for node in self.graphs[name].nodes if node.name == at)
        weight = self.graphs[name].constants[node.input[1]]
        if weight.ndim == 2:
            return float(weight.size)
        # Each output of a convolution, and each input of a transposed one, meets the weights of its channel.
        places = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
        return float(self.ranges[name][places].size * weight.size / weight.shape[0])

    def fp16_candidates(self, int8: Collection[Key] = ()) -> list[Key]:
        """The nodes that may be FP16 when the given nodes are INT8; nodes whose data comes and goes as INT8 are left out."""
        found: list[Key] = []
        for name, graph in self.graphs.items():
            lowered = self.graph(name, int8, ())
            left = {node.name for node in lowered.nodes} - {node for at, node in int8 if at == name}
            if int8:
                left -= int8_region(lowered)
            found += [(name, node.name) for node in graph.nodes if node.name in left and can_lower(graph, node)]
        return found

    def between(self, int8: Collection[Key]) -> set[Key]:
        """The nodes that are not INT8 themselves, but whose data comes and goes as INT8."""
        own = {
            (name, node)
            for name, graph in self.graphs.items()
            for node in int8_region(self.graph(name, int8, ())) & {node.name for node in graph.nodes}
        }
        return own - set(int8)

    def graph(
        self, name: str, int8: Collection[Key], fp16: Collection[Key], as_convolutions: Collection[Key] = ()
    ) -> Graph:
        """One graph in lower precision; the FP32 graph itself if none of its nodes is changed.

        Args:
            name: the graph.
            int8, fp16: the nodes that are lowered, of any graph.
            as_convolutions: transposed convolutions that become convolutions and stay FP32, as INT8 ones do anyway.
        """
        graph = self.graphs[name]
        int8_nodes = [node for at, node in int8 if at == name]
        fp16_nodes = [node for at, node in fp16 if at == name]
        changed = [*int8_nodes, *(node for at, node in as_convolutions if at == name)]
        if changed:
            graph = _rewritten(graph, changed)
        if int8_nodes:
            names = set[str]().union(*(arithmetic_nodes(graph, node) for node in int8_nodes))
            graph = to_int8(graph, names, self._limits[name], weight_bits=self._weight_bits)
        return to_fp16(graph, fp16_nodes) if fp16_nodes else graph

    def runners(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """A runner for each lowered graph: the FP16 emulator if the graph has FP16 nodes, else ONNX Runtime."""
        emulated = {at for at, _ in fp16}
        names = {at for at, _ in (*int8, *fp16)}
        return {name: (self._emulator if name in emulated else self._engine)(name, int8, fp16) for name in names}

    def engines(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """ONNX Runtime for each lowered graph: integer arithmetic as this CPU does it, FP16 nodes in FP32."""
        return {name: self._engine(name, int8, fp16) for name in {at for at, _ in (*int8, *fp16)}}

    def emulators(self, int8: Collection[Key], fp16: Collection[Key]) -> dict[str, Runner]:
        """The FP16 emulator for each lowered graph: FP16 as a device computes it, INT8 without saturation."""
        return {name: self._emulator(name, int8, fp16) for name in {at for at, _ in (*int8, *fp16)}}

    def _engine(self, name: str, int8: Collection[Key], fp16: Collection[Key]) -> Runner:
        return open_engine(self.graph(name, int8, fp16).model().SerializeToString(), name=name)

    def emulator(self, graph: Graph) -> Runner:
        """The FP16 emulator for a graph that `graph` made."""
        return Fp16Emulator(graph, self._node_runners.setdefault(graph.opset, NodeRunner(graph.opset)))

    def _emulator(self, name: str, int8: Collection[Key], fp16: Collection[Key]) -> Runner:
        return self.emulator(self.graph(name, int8, fp16))


def _rewritten(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with the transposed convolutions among the named nodes as convolutions."""
    transposed = [node.name for node in graph.nodes if node.name in names and can_rewrite(graph, node)]
    return rewrite(graph, transposed) if transposed else graph
