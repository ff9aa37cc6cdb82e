"""A stopwatch that measures nothing: the time of a graph is a sum over its nodes, by kind, so that tests know what is right."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto

from voxface.calibration.stopwatch import EngineChoice, Job, Timing


@dataclass
class CostModel:
    """Milliseconds by kind of node, each for a thousand weights where the node has weights.

    Attributes:
        transposed, convolution, product: FP32 layers.
        int8, fp16: factors of a layer with INT8 or FP16 inputs.
        border: each quantisation or dequantisation of what is no weight.
        more_threads: factor of all times with two threads in place of one.
        refuses: kinds of elements that the engine has no layers for.
        races: names of the jobs of every race, in order.
    """

    transposed: float = 1.0
    convolution: float = 1.0
    product: float = 1.0
    int8: float = 0.4
    fp16: float = 1.2
    border: float = 0.001
    more_threads: float = 1.5
    refuses: tuple[str, ...] = ()
    races: list[tuple[str, ...]] = field(default_factory=list)

    def race(self, jobs: Mapping[str, Job], rounds: int) -> dict[str, Timing | str]:
        """See `voxface.calibration.stopwatch.Stopwatch.race`."""
        assert rounds >= 1
        self.races.append(tuple(jobs))
        found: dict[str, Timing | str] = {}
        for name, job in jobs.items():
            times = [self.of(graph(), job.engine) for graph, _ in job.parts]
            known = [time for time in times if time is not None]
            found[name] = (
                Timing(sum(known), 1e-9, sum(known), sum(known)) if len(known) == len(times) else "no kernel for it"
            )
        return found

    def of(self, data: bytes, engine: EngineChoice) -> float | None:
        """Milliseconds of a graph; None if it is refused."""
        graph = onnx.load_model_from_string(data).graph
        sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
        kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        layers = {
            "ConvTranspose": self.transposed,
            "Conv": self.convolution,
            "Gemm": self.product,
            "MatMul": self.product,
        }
        total = 0.0
        for node in graph.node:
            if node.op_type in layers:
                maker = makers.get(node.input[1])
                eight = maker is not None and maker.op_type == "DequantizeLinear"
                weight = maker.input[0] if maker is not None else node.input[1]
                half = kinds.get(weight) == TensorProto.FLOAT16
                if "int8" in self.refuses and eight:
                    return None
                total += (
                    layers[node.op_type] * sizes[weight] / 1e3 * (self.int8 if eight else self.fp16 if half else 1.0)
                )
            elif node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in sizes:
                total += self.border
        return total * (self.more_threads if (engine.threads or 1) > 1 else 1.0)
