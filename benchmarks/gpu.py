"""One update with full-size networks on an NVIDIA GPU: eager PyTorch, ONNX Runtime and TensorRT engines take turns.

    python -m benchmarks.gpu [--keep full] [--engine half.voxface …]

An update is what live operation repeats: 1000 frames of features on the host to embedding, image and coefficients on the
host, batch 1. Weights are random (the time does not depend on them), seeded, the same on all sides; TF32 is off on all
sides. How far the sides agree is said as cosine distance of embeddings, grey levels of pictures and millimetres of meshes.
For reduced precision, keep the bundle, calibrate it, build its engines, and give the result with --engine: its weights are
then still the ones PyTorch has. Without a GPU it ends with exit code 5.
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

from benchmarks.record import record
from voxface.runtime.bundle import GRAPHS, Bundle, write_folder
from voxface.runtime.engines.cuda_memory import Cuda
from voxface.runtime.engines.of_bundle import open_graph
from voxface.runtime.errors import ProviderError, UsageError, VoxfaceError

FRAMES = 1000
WARM_UP, ROUNDS = 50, 1000
Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # embedding, image, coefficients
Update = Callable[[NDArray[np.float32]], Answer]


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
        bundle, eager = _full_size(options.keep or Path(folder) / "full")
        sides: dict[str, Update] = {"pytorch_eager": eager}
        left_out: dict[str, str] = {}
        for name, path, provider in _engines(bundle, target, Path(folder), options.engine, left_out):
            try:
                engines = [open_engines.enter_context(open_graph(path, graph, provider)) for graph in GRAPHS]
                sides[name] = _update(engines)
            except VoxfaceError as error:
                left_out[name] = str(error)
        if len(sides) == 1:
            print(f"benchmarks.gpu: error: no engine runs here: {json.dumps(left_out)}", file=sys.stderr)
            return 5
        measured = {
            "gpu": {"name": torch.cuda.get_device_name(0), "compute_capability": target},
            "frames": FRAMES,
            "rounds": ROUNDS,
            **_measure(sides, bundle),
            "left_out": left_out,
        }
    packages = ("numpy", "torch", "onnxruntime", "onnxruntime-gpu", "tensorrt-rtx", "tensorrt", "cuda-bindings")
    record("gpu", "python -m benchmarks.gpu", measured, tuple(filter(_installed, packages)))
    return 0


def _full_size(folder: Path) -> tuple[Bundle, Update]:
    """A bundle of full-size networks with random weights, and the same networks in PyTorch on the GPU."""
    import torch

    from voxface.export.onnx_graphs import embedding_spec, encoder_spec, to_onnx
    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

    torch.manual_seed(0)
    base = Bundle.open()
    networks = {"encoder": VoiceEncoder(), "face": FaceGenerator(), "mesh": MeshRegressor(base.morphable.modes)}
    specs = (encoder_spec(), embedding_spec("image"), embedding_spec("coefficients"))
    files = dict(base.files)
    for (name, network), spec in zip(networks.items(), specs, strict=True):
        files[f"{name}.onnx"], _ = to_onnx(network.eval(), spec)
    write_folder(folder, {k: v for k, v in base.manifest.items() if k not in ("schema", "files", "sha256")}, files)
    encoder, face, mesh = (network.cuda() for network in networks.values())

    def update(features: NDArray[np.float32]) -> Answer:
        with torch.inference_mode():
            embedding = encoder(torch.from_numpy(features).cuda())[0]
            image, coefficients = face(embedding), mesh(embedding)
            return embedding.cpu().numpy(), image.cpu().numpy(), coefficients.cpu().numpy()

    return Bundle.open(folder), update


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
