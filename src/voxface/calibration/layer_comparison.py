"""The layers of a graph on two sides: how long each takes alone, and how far apart its result is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from voxface.calibration.regions import Region, joined, regions
from voxface.calibration.stopwatch import EngineChoice, Job, Stopwatch
from voxface.onnx_graph.graph import Graph, show_tensors
from voxface.onnx_graph.node_runner import Tensor
from voxface.onnx_graph.passes.cut import can_cut, cut
from voxface.runtime.engines.opening import open_engine

SIDES: Final = ("A", "B")


@dataclass(frozen=True)
class LayerDifference:
    """A layer, or several that only together have the same border on both sides.

    Attributes:
        layers: names of the layers, and of their operators on the side that shows them.
        ms: milliseconds alone on the first side and on the second; None where a side cannot run it alone.
        share: the largest difference of its result as a share of the result's largest number; None if it is not known.
    """

    layers: tuple[tuple[str, str], ...]
    ms: tuple[float | None, float | None]
    share: float | None


def compare_layers(
    graphs: tuple[Graph, Graph],
    engines: tuple[EngineChoice, EngineChoice],
    feeds: Mapping[str, Tensor],
    shares: Mapping[str, float],
    stopwatch: Stopwatch,
    rounds: int,
) -> list[LayerDifference]:
    """The layers of a graph, in order.

    Args:
        graphs: the graph on both sides.
        engines: what runs it on both sides.
        feeds: the graph's inputs.
        shares: tensor -> difference between the sides, as a share of its largest number.
        stopwatch: what measures time; both sides of a layer take turns.
        rounds: how often.
    """
    # The weights of an INT8 layer are no constants, so the side with more layers shows where they begin and end.
    side = max((0, 1), key=lambda k: len(regions(graphs[k], "")))
    pieces = _pieces(graphs, regions(graphs[side], ""))
    values = _values(graphs[side], feeds, {piece.source for piece in pieces}, engines[side])
    operators = {node.name: node.op_type for node in graphs[side].nodes}
    found = []
    for piece in pieces:
        jobs = {
            name: Job([(partial(_cut, graph, piece), {_entry(graph, piece.source): values[piece.source]})], engine)
            for name, graph, engine in zip(SIDES, graphs, engines, strict=True)
            if can_cut(graph, [_entry(graph, piece.source)], [piece.result])
        }
        times = stopwatch.race(jobs, rounds) if jobs else {}
        ms = [None if isinstance(t := times.get(name, ""), str) else t.ms for name in SIDES]
        layers = tuple((layer, operators[layer]) for layer in piece.layers)
        found.append(LayerDifference(layers, (ms[0], ms[1]), shares.get(piece.result)))
    return found


def _pieces(graphs: tuple[Graph, Graph], layers: Sequence[Region]) -> list[Region]:
    """The layers, joined with the next one as long as their border is not in both graphs."""
    pieces: list[Region] = []
    waiting: Region | None = None
    for layer in layers:
        if waiting is not None and waiting.result == layer.source:
            layer_ = joined(waiting, layer)
        else:
            pieces += [] if waiting is None else [waiting]
            layer_ = layer
        whole = all(can_cut(graph, [_entry(graph, layer_.source)], [layer_.result]) for graph in graphs)
        pieces += [layer_] if whole else []
        waiting = None if whole else layer_
    return pieces + ([] if waiting is None else [waiting])


def _values(graph: Graph, feeds: Mapping[str, Tensor], names: set[str], engine: EngineChoice) -> dict[str, Tensor]:
    made = sorted(names - feeds.keys())
    if not made:
        return dict(feeds)
    with open_engine(show_tensors(graph.model(), made), engine.provider, threads=engine.threads) as shown:
        return {**feeds, **shown.run(dict(feeds))}


def _entry(graph: Graph, tensor: str) -> str:
    """The tensor at which a layer that reads `tensor` is cut off: in an INT8 graph, what is quantised for it. So an INT8
    layer alone quantises what it reads, and dequantises what it makes."""
    makers = {name: node for node in graph.nodes for name in node.output}
    maker = makers.get(tensor)
    if maker is not None and maker.op_type == "DequantizeLinear":
        quantise = makers.get(maker.input[0])
        if quantise is not None and quantise.op_type == "QuantizeLinear":
            source: str = quantise.input[0]
            return source
    return tensor


def _cut(graph: Graph, piece: Region) -> bytes:
    data: bytes = cut(graph, [_entry(graph, piece.source)], [piece.result]).model().SerializeToString()
    return data
