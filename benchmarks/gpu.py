"""One update with full-size networks on an NVIDIA GPU: PyTorch (eager, compiled, as a CUDA graph), ONNX Runtime and TensorRT
engines take turns.

    python -m benchmarks.gpu [--keep full] [--engine half.voxface …]

An update is the work that a live session repeats: from 1000 frames of features on the host to embedding, image and
coefficients on the host, batch 1. Weights are random (the time does not depend on them), seeded, and the same on all sides;
TF32 is off on all sides. If an update is captured, CUDA events around many launches in a row give the time of the GPU alone.
The ratio of the whole update to it shows what Python and waiting add. The agreement of the sides is given as cosine distance
of embeddings, grey levels of images and millimetres of meshes.

For reduced precision, keep the bundle, calibrate it, build its engines, and pass the result with --engine: its weights are
then the same as PyTorch's. Without a GPU the program ends with exit code 5.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_size import networks, write_bundle
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.cuda_memory import Cuda
from voxface.runtime.engines.opening import open_graph
from voxface.runtime.engines.tensorrt import TensorRTEngine
from voxface.runtime.errors import ProviderError, UsageError, VoxfaceError

FRAMES = 1000
WARM_UP, ROUNDS = 50, 1000
LAUNCHES = 200  # in a row, between two CUDA events
Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # embedding, image, coefficients
Update = Callable[[NDArray[np.float32]], Answer]
KernelTime = Callable[[], float | None]  # milliseconds of an update on the GPU alone


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and records it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Latency of one update on an NVIDIA GPU, and agreement in task units.")
    parser.add_argument("--keep", type=Path, help="folder for the full-size bundle (a temporary one)")
    parser.add_argument(
        "--engine", type=Path, action="append", default=[], help="bundle with engines, made from --keep's"
    )
    options = parser.parse_args(arguments)
    try:
        target = Cuda().target
        import torch

        if not torch.cuda.is_available():
            raise ProviderError(
                f"this PyTorch ({torch.__version__}) has no CUDA; install one that has, for the eager side"
            )
    except (ProviderError, ImportError) as error:
        print(f"benchmarks.gpu: error: {error}", file=sys.stderr)
        return 5
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_engines:
        nets = networks()
        bundle = write_bundle(options.keep or Path(folder) / "full", nets)
        left_out: dict[str, str] = {}
        sides, kernels = _pytorch(nets, left_out)
        torch_sides = len(sides)
        for name, path, provider in _engines(bundle, target, Path(folder), options.engine, left_out):
            try:
                engines = [open_engines.enter_context(open_graph(path, graph, provider)) for graph in GRAPHS]
                sides[name] = _update(engines)
                if (own := _kernels_of(engines)) is not None:
                    kernels[name] = own
            except VoxfaceError as error:
                left_out[name] = str(error)
        if len(sides) == torch_sides:
            print(f"benchmarks.gpu: error: no engine runs here: {json.dumps(left_out)}", file=sys.stderr)
            return 5
        found = _measure(sides, bundle)
        measured = {
            "gpu": {"name": torch.cuda.get_device_name(0), "compute_capability": target},
            "frames": FRAMES,
            "rounds": ROUNDS,
            **found,
            **_beside_kernels(found["latency_ms"], kernels),
            "left_out": left_out,
        }
    packages = ("numpy", "torch", "onnxruntime", "onnxruntime-gpu", "tensorrt-rtx", "tensorrt", "cuda-bindings")
    record("gpu", "python -m benchmarks.gpu", measured, tuple(filter(_installed, packages)))
    return 0


def _pytorch(nets: dict[str, Any], left_out: dict[str, str]) -> tuple[dict[str, Update], dict[str, KernelTime]]:
    """The networks on the GPU in PyTorch: eager, compiled, and as one CUDA graph of the shape at hand, as far as each works."""
    import torch

    nets = {name: network.cuda() for name, network in nets.items()}

    def updating(encoder: Any, face: Any, mesh: Any) -> Update:
        def update(features: NDArray[np.float32]) -> Answer:
            with torch.inference_mode():
                embedding = encoder(torch.from_numpy(features).cuda())[0]
                image, coefficients = face(embedding), mesh(embedding)
                return embedding.cpu().numpy(), image.cpu().numpy(), coefficients.cpu().numpy()

        return update

    sides = {"pytorch_eager": updating(*nets.values())}
    kernels: dict[str, KernelTime] = {}
    example = np.zeros((1, 64, FRAMES), np.float32)
    try:
        compiled = updating(*(torch.compile(network, dynamic=False) for network in nets.values()))
        compiled(example)
        sides["pytorch_compiled"] = compiled
    except Exception as error:  # the compiler has many ways to fail: no Triton, no C compiler, a GPU it does not know
        left_out["pytorch_compiled"] = str(error).strip().splitlines()[0]
    try:
        sides["pytorch_cuda_graph"], kernels["pytorch_cuda_graph"] = _pytorch_graph(*nets.values())
        sides["pytorch_cuda_graph"](example)
    except RuntimeError as error:
        sides.pop("pytorch_cuda_graph", None)
        kernels.clear()
        left_out["pytorch_cuda_graph"] = str(error).strip().splitlines()[0]
    return sides, kernels


def _pytorch_graph(encoder: Any, face: Any, mesh: Any) -> tuple[Update, KernelTime]:
    """An update as one captured graph, copies from and to pinned memory in it, and the time the GPU takes for it alone."""
    import torch

    held = torch.zeros(1, 64, FRAMES).pin_memory()
    given = torch.zeros(1, 64, FRAMES, device="cuda")

    def compute() -> tuple[Any, ...]:
        given.copy_(held, non_blocking=True)
        embedding = encoder(given)[0]
        return embedding, face(embedding), mesh(embedding)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(3):  # before a capture every kernel has to have been chosen
            answers = compute()
        hosts = [torch.empty(answer.shape).pin_memory() for answer in answers]
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        for host, answer in zip(hosts, compute(), strict=True):
            host.copy_(answer, non_blocking=True)

    def update(features: NDArray[np.float32]) -> Answer:
        held.numpy()[:] = features
        graph.replay()
        torch.cuda.current_stream().synchronize()
        embedding, image, coefficients = (host.numpy().copy() for host in hosts)
        return embedding, image, coefficients

    def kernel_ms() -> float:
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        for _ in range(LAUNCHES):
            graph.replay()
        ended.record()
        ended.synchronize()
        return float(began.elapsed_time(ended)) / LAUNCHES

    return update, kernel_ms


def _kernel_ms(engine: Any) -> float | None:
    """Milliseconds the GPU takes for an engine's captured graph alone, copies included; None if nothing was captured.

    CUDA events surround many launches in a row, and the host waits only for the last.
    """
    graphs = [made.graph for made in engine._shapes.values() if made.graph is not None]
    if not graphs:
        return None
    cuda, stream = engine._cuda, engine._stream
    began, ended = cuda.call("cudaEventCreate"), cuda.call("cudaEventCreate")
    try:
        cuda.call("cudaEventRecord", began, stream)
        for _ in range(LAUNCHES):
            cuda.call("cudaGraphLaunch", graphs[-1], stream)
        cuda.call("cudaEventRecord", ended, stream)
        cuda.call("cudaEventSynchronize", ended)
        return float(cuda.call("cudaEventElapsedTime", began, ended)) / LAUNCHES
    finally:
        cuda.call("cudaEventDestroy", began)
        cuda.call("cudaEventDestroy", ended)


def _kernels_of(engines: list[Any]) -> KernelTime | None:
    """The sum over the engines of an update; None unless all of them run captured graphs of their own."""
    if not all(isinstance(engine, TensorRTEngine) for engine in engines):
        return None

    def kernel_ms() -> float | None:
        each = [_kernel_ms(engine) for engine in engines]
        return None if None in each else sum(ms for ms in each if ms is not None)

    return kernel_ms


def _engines(
    bundle: Bundle, target: str, folder: Path, others: list[Path], left_out: dict[str, str]
) -> list[tuple[str, Bundle, str]]:
    """(name, bundle, provider) of every side but PyTorch; engines are built here, of both flavours where that works."""
    from voxface.export.tensorrt_build import build_bundle

    found = [("onnxruntime_cuda", bundle, "cuda")]
    for flavour, provider in (("tensorrt-rtx", "tensorrt-rtx"), ("tensorrt", "tensorrt-native")):
        name = f"{provider.replace('-', '_')}_fp32"
        try:
            built, _ = build_bundle(bundle, folder / name, flavour, [target])
            found.append((name, built, provider))
        except (ProviderError, UsageError) as error:
            left_out[name] = str(error)
    for path in others:
        other = Bundle.open(path)
        providers = {plan.flavour: plan for plan in other.plans}
        for flavour in providers:
            provider = {"tensorrt": "tensorrt-native"}.get(flavour, flavour)
            found.append((f"{path.stem}_{provider.replace('-', '_')}", other, provider))
    return found


def _update(engines: list[Any]) -> Update:
    encoder, face, mesh = engines
    for engine in engines:
        engine.warm_up({"T": FRAMES})

    def update(features: NDArray[np.float32]) -> Answer:
        embedding = encoder.run({"log_mel": features})["embedding"]
        image, coefficients = (
            face.run({"embedding": embedding})["image"],
            mesh.run({"embedding": embedding})["coefficients"],
        )
        return embedding, image, coefficients

    return update


def _measure(sides: dict[str, Update], bundle: Bundle) -> dict[str, Any]:
    """Milliseconds of every side, taking turns, and how far each is from PyTorch on the last update."""
    generator = np.random.default_rng(0)
    milliseconds: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, Answer] = {}
    for round_ in range(WARM_UP + ROUNDS):
        features = generator.normal(size=(1, 64, FRAMES)).astype(np.float32)
        for name, update in sides.items():
            began = time.perf_counter_ns()
            answers[name] = update(features)
            if round_ >= WARM_UP:
                milliseconds[name].append((time.perf_counter_ns() - began) / 1e6)
    eager = np.array(milliseconds["pytorch_eager"])
    return {
        "latency_ms": {name: _percentiles(np.array(values)) for name, values in milliseconds.items()},
        "times_faster_than_eager": {
            name: {
                "p50": float(np.median(eager / np.array(values))),
                "p5": float(np.quantile(eager / np.array(values), 0.05)),
            }
            for name, values in milliseconds.items()
            if name != "pytorch_eager"
        },
        "difference_from_eager": {
            name: _difference(answer, answers["pytorch_eager"], bundle)
            for name, answer in answers.items()
            if name != "pytorch_eager"
        },
    }


def _beside_kernels(latency: dict[str, dict[str, float]], kernels: dict[str, KernelTime]) -> dict[str, Any]:
    """Milliseconds that the GPU alone takes, and how many times as long an update takes from the host; medians."""
    alone = {name: ms for name, measure in kernels.items() if (ms := measure()) is not None}
    return {
        "kernels_ms": alone,
        "times_its_kernels": {name: latency[name]["p50"] / ms for name, ms in alone.items()},
    }


def _percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    p50, p90, p95, p99 = np.quantile(values, (0.5, 0.9, 0.95, 0.99)).tolist()
    return {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "variation": float(values.std() / values.mean())}


def _difference(answer: Answer, expected: Answer, bundle: Bundle) -> dict[str, float]:
    """Cosine distance of embeddings, largest and mean grey levels of pictures, largest and mean millimetres of meshes."""
    (a, image, coefficients), (b, image_b, coefficients_b) = answer, expected
    cosine = float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
    levels = np.abs(np.clip(image, -1, 1) - np.clip(image_b, -1, 1)) * 127.5
    meshes = [bundle.morphable.vertices(c[0]) for c in (coefficients, coefficients_b)]
    millimetres = np.linalg.norm(meshes[0] - meshes[1], axis=1)
    return {
        "embedding_cosine_distance": 1 - cosine,
        "image_levels_largest": float(levels.max()),
        "image_levels_mean": float(levels.mean()),
        "mesh_mm_largest": float(millimetres.max()),
        "mesh_mm_mean": float(millimetres.mean()),
    }


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
