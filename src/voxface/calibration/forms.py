"""The forms of a region: how its layers may be computed. All forms of a region have the same inputs and outputs.

| form | what it is | error |
|---|---|---|
| `fp32` | as exported | none |
| `convolutions` | FP32, transposed convolutions as sub-pixel convolutions (`onnx_graph.passes.sub_pixel`) | rounding |
| `fp16` | FP16, Casts at the border | measured |
| `int8` | INT8 between quantise-dequantise pairs, transposed convolutions as convolutions | measured |

BF16 is no form of a layer: the CPU engines that have it take it as an arithmetic of a whole graph, which is another provider.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from voxface.calibration.lowering import Key, Lowering
from voxface.calibration.regions import Region
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.fp16 import can_lower
from voxface.onnx_graph.passes.sub_pixel import can_rewrite

FP32, CONVOLUTIONS, FP16, INT8 = "fp32", "convolutions", "fp16", "int8"
FORMS: Final = (FP32, CONVOLUTIONS, FP16, INT8)
LOSSY: Final = (FP16, INT8)
Choice = Mapping[Key, str]  # region -> form; regions that are not named are FP32 as exported


@dataclass(frozen=True)
class Nodes:
    """The nodes that a choice changes, as `Lowering.graph` takes them."""

    int8: frozenset[Key]
    fp16: frozenset[Key]
    as_convolutions: frozenset[Key]


class Forms:
    """The forms that the regions of some graphs can have, and the graphs in any choice of them."""

    def __init__(self, lowering: Lowering, regions: Iterable[Region]) -> None:
        """Takes graphs whose ranges are recorded already, and their regions."""
        self.lowering = lowering
        self.regions = {region.key: region for region in regions}
        self._candidates = frozenset(lowering.int8_candidates())
        by_name = {(name, node.name): node for name, graph in lowering.graphs.items() for node in graph.nodes}
        self._half = {key for key, node in by_name.items() if can_lower(lowering.graphs[key[0]], node)}
        self._transposed = {key for key, node in by_name.items() if can_rewrite(lowering.graphs[key[0]], node)}

    def of(self, region: Region) -> tuple[str, ...]:
        """The forms that a region can have."""
        layers = {(region.graph, layer) for layer in region.layers}
        can = {
            FP32: True,
            CONVOLUTIONS: bool(layers & self._transposed),
            FP16: (region.graph, region.name) in self._half,
            INT8: bool(layers & self._candidates),
        }
        return tuple(form for form in FORMS if can[form])

    def nodes(self, choice: Choice) -> Nodes:
        """The nodes that a choice changes."""
        int8: set[Key] = set()
        fp16: set[Key] = set()
        spread: set[Key] = set()
        for key, form in choice.items():
            region = self.regions[key]
            layers = {(region.graph, layer) for layer in region.layers}
            if form == INT8:
                int8 |= layers & self._candidates
                # A second layer that cannot be INT8 is changed with the first one, as in the form `convolutions`.
            elif form == CONVOLUTIONS:
                spread |= layers & self._transposed
            elif form == FP16:
                fp16 |= {(region.graph, node) for node in region.nodes} & self._half
        return Nodes(frozenset(int8), frozenset(fp16), frozenset(spread))

    def graph(self, name: str, choice: Choice) -> Graph:
        """One graph in a choice of forms."""
        nodes = self.nodes(choice)
        return self.lowering.graph(name, nodes.int8, nodes.fp16, nodes.as_convolutions)


def only(choice: Choice, graph: str) -> dict[Key, str]:
    """What a choice says of one graph, FP32 left out: equal graphs have equal choices."""
    return {key: form for key, form in sorted(choice.items()) if key[0] == graph and form != FP32}


def label(choice: Choice, names: Collection[str] | None = None) -> str:
    """A choice as text, the same for equal graphs: "face/conv=int8 …", or "fp32"."""
    words = [
        f"{graph}/{node}={form}"
        for (graph, node), form in sorted(choice.items())
        if form != FP32 and (names is None or graph in names)
    ]
    return " ".join(words) or FP32
