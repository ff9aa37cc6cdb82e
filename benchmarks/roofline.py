"""The roofline of this machine: the largest rates of multiplication in FP32 and INT8, and of reading memory.

    python -m benchmarks.roofline

FP32: square matrix products, the fastest of ONNX Runtime, PyTorch and numpy. INT8: the same graphs, and convolutions in the
shapes of the networks, as `voxface calibrate` writes them, beside FP32 in the same shapes, which gives the largest gain that
INT8 can have on this processor. Memory: buffers larger than the caches, read and copied. Other benchmarks divide the operations
of their graphs by these rates, which gives the least time that they could take here.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleave import Neighbours, take_turns
from benchmarks.options import no_options
from benchmarks.record import load, record
from voxface.calibration.lowering import Lowering
from voxface.onnx_graph.graph import Graph
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.processor import usable_cores

SIDE: Final = 1024  # of square matrices
BUFFER: Final = 256 << 20  # bytes, larger than any cache
ROUNDS: Final = 15
ARITHMETIC: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# Convolutions of the encoder and, as `voxface calibrate` rewrites it, of the generator: batch 1; weight, then input.
SHAPES: Final = {
    "encoder, 2nd layer of 8 s": ((384, 256, 3), (1, 256, 500)),
    "encoder, 4th layer of 8 s": ((864, 576, 3), (1, 576, 125)),
    "generator, 8×8 to 16×16": ((1024, 512, 2, 2), (1, 512, 9, 9)),
    "generator, 16×16 to 32×32": ((512, 256, 2, 2), (1, 256, 17, 17)),
}


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    with Neighbours() as neighbours:
        measured = {
            "int8_instructions": instructions(),
            "rounds": ROUNDS,
            "matrix": {f"{threads}_threads": _matrix(threads) for threads in (1, 2)},
            "same_shape": {name: _convolution(*shapes) for name, shapes in SHAPES.items()},
            "memory_gb_per_s": {f"{threads}_threads": _memory(threads) for threads in (1, 2)},
        }
    record("roofline", "python -m benchmarks.roofline", {**neighbours.to_json(), **measured}, _PACKAGES)


_PACKAGES: Final = ("numpy", "onnx", "onnxruntime", "torch")


@dataclass(frozen=True)
class Work:
    """The work of running graphs once: operations (a multiplication with its addition is two) and megabytes of weights."""

    operations: float
    megabytes: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.operations + other.operations, self.megabytes + other.megabytes)

    def least_ms(self, threads: int, precision: str = "fp32") -> float:
        """The least time this machine needs: all operations at the measured rate, or, for weights larger than its cache, all
        weights from memory, whichever is longer."""
        measured = load("roofline")["measured"]
        rate = measured["matrix"][f"{threads}_threads"][f"{precision}_gflops"]
        computing = self.operations / rate / 1e6
        if self.megabytes * 1e6 < cache_bytes():
            return computing
        return max(computing, self.megabytes / measured["memory_gb_per_s"][f"{threads}_threads"]["read"])


def work(data: bytes, feed: Mapping[str, NDArray[Any]]) -> Work:
    """The work of an FP32 ONNX graph for this input."""
    graph = Graph.from_bytes(data)
    lowering = Lowering({"graph": graph})
    lowering.observe("graph", [feed])
    arithmetic = [node for node in graph.nodes if node.op_type in ARITHMETIC and node.input[1] in graph.constants]
    operations = 2 * sum(lowering.products(("graph", node.name)) for node in arithmetic)
    weights = sum(array.nbytes for array in graph.constants.values())
    return Work(operations, weights / 1e6)


def cache_bytes() -> int:
    """The largest cache of this processor; 32 MiB where the system does not say."""
    sizes = []
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text().strip()
        sizes.append(int(text.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(text[-1], 0))
    return max(sizes, default=32 << 20)


def instructions() -> str:
    """The processor's instructions that decide how fast INT8 is."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    known = [flag for flag in ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm") if flag in flags]
    return " ".join(known) or "unknown"


def forms(data: bytes, feed: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """A graph in FP32, and with all of it that can be in INT8."""
    lowering = Lowering({"graph": Graph.from_bytes(data)})
    lowering.observe("graph", [feed])
    return {"fp32": data, "int8": lowering.graph("graph", lowering.int8_candidates(), ()).to_bytes()}


def _matrix(threads: int) -> dict[str, Any]:
    import torch

    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, SIDE, SIDE)).astype(np.float32)
    feed = {"x": a}
    engines = {
        name: open_engine(form, threads=threads) for name, form in forms(_graph("MatMul", [b], a.shape), feed).items()
    }
    torch.set_num_threads(threads)
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    out, into = torch.empty(SIDE, SIDE), np.empty_like(a)
    sides: dict[str, Callable[[], object]] = {
        "fp32_onnxruntime": lambda: engines["fp32"].run(feed),
        "int8_onnxruntime": lambda: engines["int8"].run(feed),
        "fp32_pytorch": lambda: torch.mm(left, right, out=out),
    }
    if threads == _numpy_threads():
        sides["fp32_numpy"] = lambda: np.matmul(a, b, out=into)
    times = take_turns(sides, ROUNDS)
    rates = {f"{name}_gflops": round(2 * SIDE**3 / t.min() / 1e6, 1) for name, t in times.items()}
    return {
        "fp32_gflops": max(rate for name, rate in rates.items() if name.startswith("fp32")),
        "int8_gflops": rates["int8_onnxruntime_gflops"],
        "of": rates,
    }


def _convolution(weight: tuple[int, ...], shape: tuple[int, ...]) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    feed = {"x": np.abs(generator.normal(size=shape)).astype(np.float32)}
    # ReLU and a narrow convolution follow: what leaves a graph is not rounded, and its last layer so never quite INT8.
    narrow = (8, weight[0], *(1 for _ in weight[2:]))
    weights = [generator.normal(size=size).astype(np.float32) for size in (weight, narrow)]
    graphs = forms(_graph("Conv", weights, shape), feed)
    found: dict[str, Any] = {"mflop": round(work(graphs["fp32"], feed).operations / 1e6, 1)}
    for threads in (1, 2):
        engines = {name: open_engine(form, threads=threads) for name, form in graphs.items()}
        times = take_turns({name: _running(engine, feed) for name, engine in engines.items()}, 4 * ROUNDS)
        found[f"{threads}_threads"] = {
            **{f"{name}_gflops": round(found["mflop"] / float(t.min()), 1) for name, t in times.items()},
            "int8_is_faster_by": round(float(times["fp32"].min() / times["int8"].min()), 2),
        }
    return found


def _running(engine: Any, feed: dict[str, NDArray[np.float32]]) -> Callable[[], object]:
    return lambda: engine.run(feed)


def _graph(operator: str, weights: list[NDArray[np.float32]], shape: tuple[int, ...]) -> bytes:
    """One operator with each of the weights in a row, ReLU between."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, at = [], "x"
    for i in range(len(weights)):
        if i:
            nodes.append(helper.make_node("Relu", [at], [f"relu{i}"], name=f"relu{i}"))
            at = f"relu{i}"
        nodes.append(helper.make_node(operator, [at, f"w{i}"], [f"y{i}"], name=f"node{i}"))
        at = f"y{i}"
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, [None] * len(shape))],
        [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def _numpy_threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", usable_cores()))


def _memory(threads: int) -> dict[str, float]:
    """Gigabytes a second; a copy reads and writes every byte, and counts both."""
    source = np.ones(BUFFER // 4, np.float32)
    target = np.empty_like(source)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:  # numpy lets go of the interpreter in both
        times = take_turns(
            {
                "read": lambda: list(pool.map(lambda part: float(part[0].max()), parts)),
                "copy": lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)),
            },
            ROUNDS,
            1,
        )
    return {
        "read": round(BUFFER / float(times["read"].min()) / 1e6, 1),
        "copy": round(2 * BUFFER / float(times["copy"].min()) / 1e6, 1),
    }


if __name__ == "__main__":
    main()
