"""INT8 ranges: which values the tensors of a graph take on real speech, and the magnitude that becomes 127 in INT8."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.onnx_graph.graph import Graph, show_tensors
from voxface.onnx_graph.node_runner import Tensor
from voxface.runtime.engines.onnxruntime import import_onnxruntime
from voxface.runtime.engines.under_way import Runs

_SAMPLES = 4096  # numbers of a tensor kept from each clip
_TRIED = np.linspace(0.3, 1.0, 29)  # shares of the largest magnitude that are tried as the limit


@dataclass(frozen=True)
class TensorRange:
    """The values of one tensor over all clips.

    Attributes:
        low: smallest value.
        high: largest value.
        size: how many numbers the tensor has in the longest clip.
        sample: float32 [k], values from all clips, evenly spaced in each clip, with the extremes of each.
    """

    low: float
    high: float
    size: int
    sample: NDArray[np.float32]

    @property
    def most(self) -> float:
        """Largest magnitude."""
        return max(abs(self.low), abs(self.high))

    def int8_limit(self) -> float:
        """The magnitude that should become 127.

        Smaller values are rounded and larger ones clipped; this magnitude has the least squared error over the sample.
        """
        x = self.sample.astype(np.float64)
        best, least = self.most, np.inf
        for limit in self.most * _TRIED[::-1]:
            step = limit / 127
            if step == 0:
                break
            error = float(((np.clip(np.rint(x / step), -127, 127) * step - x) ** 2).mean())
            if error < least:
                best, least = float(limit), error
        return best


def record_ranges(graph: Graph, feeds: Iterable[Mapping[str, Tensor]]) -> dict[str, TensorRange]:
    """The range of every float32 tensor of a graph but the constants, over these inputs, computed in FP32."""
    ort = import_onnxruntime()
    inputs = {value.name for value in graph.inputs}
    names = [n for node in graph.nodes for n in node.output if graph.is_float(n) and n not in graph.constants]
    shown = show_tensors(graph.model(), names)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # fused tensors could not be seen
    session = ort.InferenceSession(shown, options, providers=["CPUExecutionProvider"])
    runs = Runs(ort.RunOptions())
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    sizes: dict[str, int] = {}
    samples: dict[str, list[NDArray[np.float32]]] = {}
    for feed in feeds:
        with runs as run_options:
            found = dict(zip(names, session.run(names, dict(feed), run_options), strict=True))
        for name, x in (found | {k: feed[k] for k in inputs}).items():
            flat = x.ravel()
            low, high = float(flat.min()), float(flat.max())
            lows[name], highs[name] = min(low, lows.get(name, low)), max(high, highs.get(name, high))
            sizes[name] = max(flat.size, sizes.get(name, 0))
            some = flat[:: max(1, flat.size // _SAMPLES)]
            samples.setdefault(name, []).append(np.concatenate([some, np.array([low, high], np.float32)]))
    return {name: TensorRange(lows[name], highs[name], sizes[name], np.concatenate(samples[name])) for name in lows}
