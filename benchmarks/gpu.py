"""One update on an NVIDIA GPU, in a quarter of an hour at most: PyTorch, ONNX Runtime and TensorRT in turns, batch 1 and 64,
and how many live streams it sustains.

    python -m benchmarks.gpu [--budget-s 780] [--out gpu.json]
    python -m benchmarks.gpu --device cpu --quick      # rehearsal: everything that a CPU can run

An update is the work that a live session repeats: from 1000 frames of features on the host to embedding, image and
coefficients on the host. Weights are random (the time does not depend on them), seeded, and the same on all sides; TF32 is off
on all sides. FP16 and INT8 mean every layer that can be; PyTorch has FP16 beside FP32. Where an update is captured as a CUDA
graph, events around many launches in a row give the time of the GPU alone. The agreement with eager PyTorch in FP32 is given in
task units: cosine distance of embeddings, grey levels of images and millimetres of meshes. Then live sessions share the engines
of a provider (`benchmarks.streams`): what 0.1 s of sound costs each, alone and packed, and the streams that follow from it.

What is missing or fails is said and left out, and the result is written after every step. docs/devices.md says how libraries
are brought to a machine without a network (`benchmarks.carry_wheels`). Without a GPU the exit code is 5, unless --device cpu.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_sides import (
    Answer,
    KernelTime,
    Update,
    difference,
    engines,
    kernels_of,
    pytorch,
    pytorch_graph,
)
from benchmarks.options import parser
from benchmarks.record import RESULTS, document_of
from benchmarks.steps import Steps, reason_of
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.opening import open_graph
from voxface.runtime.errors import ProviderError
from voxface.runtime.files.atomic import check_writable

FRAMES: Final = 1000
BUDGET_S: Final = 780.0
PRECISIONS: Final = ("fp32", "fp16", "int8")
LIBRARIES: Final = ("numpy", "torch", "triton", "onnx", "onnxruntime", "onnxruntime-gpu")
PACKAGES: Final = (*LIBRARIES, "tensorrt-rtx", "tensorrt", "tensorrt-cu13", "cuda-bindings")
STREAMS: Final = 64  # sessions with full windows
PACKS: Final = (1, 8, 32)  # streams in a turn


@dataclass(frozen=True)
class Effort:
    """How much is measured: voices of a batch, rounds and seconds at most for each batch, sessions, rounds of their turns."""

    batches: tuple[int, ...] = (1, 64)
    rounds: int = 1000
    warm_up: int = 20
    seconds: float = 90.0
    streams: int = STREAMS
    packs: tuple[int, ...] = PACKS
    turns: int = 20


QUICK: Final = Effort(batches=(1, 4), rounds=3, warm_up=1, seconds=20.0, streams=2, packs=(1, 2), turns=2)


def main(arguments: list[str] | None = None) -> int:
    """Measures, and writes after each step; returns the exit code."""
    options = parser(__doc__)
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where (cuda); cpu is a rehearsal")
    options.add_argument("--budget-s", type=float, default=BUDGET_S, help="seconds in all (%(default)g)")
    options.add_argument("--quick", action="store_true", help="small networks and a few rounds, for a try")
    options.add_argument("--out", type=Path, help="file of the result ($OUT/gpu.json, or benchmarks/results/gpu.json)")
    asked = options.parse_args(arguments)
    effort = QUICK if asked.quick else Effort()
    out = asked.out or (Path(os.environ["OUT"]) / "gpu.json" if os.environ.get("OUT") else None)
    if out is None and asked.device == "cuda" and not asked.quick:
        out = RESULTS / "gpu.json"
    if not asked.budget_s > 0:
        options.error(f"--budget-s {asked.budget_s:g}: more than 0")
    if out is not None:
        if out.suffix != ".json":  # what is there is replaced after each step, so it is to be a result
            options.error(f"--out {out}: give a file that ends with .json")
        try:
            check_writable(out)
        except OSError as error:
            options.error(f"--out {out}: cannot be written ({error.strerror})")
    installed = tuple(filter(_installed, PACKAGES))
    command = " ".join(["python -m benchmarks.gpu", *(sys.argv[1:] if arguments is None else arguments)])
    steps = Steps(asked.budget_s, out, partial(document_of, "gpu", command, packages=installed))
    machine = steps.do("machine", partial(_machine, asked.device))
    if machine is None:
        print(f"benchmarks.gpu: error: {steps.left_out['machine']}", file=sys.stderr)
        return 5
    steps.measured |= {"gpu": machine, "frames": FRAMES, "device": asked.device, "quick": asked.quick}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        nets = steps.do("networks", partial(_networks, asked.quick))
        bundles = _bundles(steps, nets, Path(folder))
        plans = _plans(steps, bundles, machine["compute_capability"], Path(folder), max(effort.batches))
        for batch in effort.batches:
            steps.do(
                f"batch_{batch}",
                partial(_batch, steps, batch, nets, {**bundles, **plans}, asked.device, effort, opened),
            )
        for name, found in (steps.do("default bundle", partial(_default_bundle, steps, asked.device)) or {}).items():
            steps.measured.setdefault("default_bundle", {})[name] = found
        for name, (bundle, provider) in {**_as_they_are(bundles, asked.device), **plans}.items():
            found = steps.do(f"streams, {name}", partial(_streams, bundle, provider, effort), least_s=15)
            if found is not None:
                steps.measured.setdefault("streams", {})[name] = found
    steps.write()
    return 0


def _machine(device: str) -> dict[str, Any]:
    if device == "cpu":
        return {"name": "none: a rehearsal on the CPU", "compute_capability": "none"}
    import torch

    if not torch.cuda.is_available():
        raise ProviderError(f"this PyTorch ({torch.__version__}) finds no GPU; install one with CUDA, see nvidia-smi")
    major, minor = torch.cuda.get_device_capability(0)
    return {
        "name": torch.cuda.get_device_name(0),
        "compute_capability": f"sm{major}{minor}",
        "cuda": torch.version.cuda,
        "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1),
    }


def _networks(quick: bool) -> dict[str, Any]:
    import torch

    from benchmarks.full_size import default_generator, networks

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return networks({**default_generator(), "channels": (32, 16, 8, 8, 8)} if quick else None)


def _bundles(steps: Steps, nets: dict[str, Any] | None, folder: Path) -> dict[str, Bundle]:
    """The bundle of the networks in each precision, as far as it can be made; without them the default bundle in FP32."""
    from benchmarks.full_size import write_bundle

    if nets is None:
        return {"fp32": Bundle.open()}
    full = steps.do("bundle, fp32", lambda: write_bundle(folder / "fp32", nets))
    if full is None:
        return {"fp32": Bundle.open()}
    found = {"fp32": full}
    for precision in PRECISIONS[1:]:
        noise = np.random.default_rng(1).normal(size=(1, 64, FRAMES)).astype(np.float32)
        lowered = steps.do(f"bundle, {precision}", partial(_lowered, full, precision, folder / precision, noise))
        if lowered is not None:
            found[precision] = lowered
    return found


def _lowered(bundle: Bundle, precision: str, folder: Path, features: NDArray[np.float32]) -> Bundle:
    """A bundle whose every layer that can be is in lower precision; ranges are those of `features`."""
    from voxface.calibration.lowering import Lowering
    from voxface.onnx_graph.graph import Graph

    with open_graph(bundle, "encoder") as encoder:
        embedding = encoder.run({"log_mel": features})["embedding"]
    files = {}
    for name in GRAPHS:
        lowering = Lowering({name: Graph.from_bytes(bundle.graph(name))}, int8=precision == "int8")
        lowering.observe(name, [{"log_mel": features} if name == "encoder" else {"embedding": embedding}])
        int8, fp16 = (lowering.int8_candidates(), ()) if precision == "int8" else ((), lowering.fp16_candidates(()))
        files[bundle.manifest.graphs[name].file] = lowering.graph(name, int8, fp16).to_bytes()
    return bundle.replacing(files=files).write(folder)


def _default_bundle(steps: Steps, device: str) -> dict[str, dict[str, float]]:
    """How far ONNX graphs on the device are from FP32 on the CPU, for the trained networks of the default bundle on a clip:
    random weights make pictures that are nearly one grey, which hides errors."""
    from benchmarks.streams import sound_of_clip
    from voxface.runtime.features.log_mel import log_mel
    from voxface.runtime.features.normalisation import network_input

    bundle = Bundle.open()
    front_end = bundle.front_end
    features = network_input(log_mel(sound_of_clip(), front_end), front_end.shortest, front_end.normalisation)
    features = np.ascontiguousarray(features[:, :, :FRAMES])
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        expected = _opened(bundle, "cpu", opened)[0](features)
        bundles = {"fp32": bundle}
        for precision in PRECISIONS[1:]:
            bundles[precision] = _lowered(bundle, precision, Path(folder) / precision, features)
        for name, (lowered, provider) in _as_they_are(bundles, device).items():
            try:
                found[name] = difference(_opened(lowered, provider, opened)[0](features), expected, bundle)
            except Exception as error:  # a provider that is missing, an operator that is not there
                steps.leave_out(f"{name}, default bundle", reason_of(error))
    return found


def _as_they_are(bundles: Mapping[str, Bundle], device: str) -> dict[str, tuple[Bundle, str]]:
    """Sides that run ONNX graphs: name -> bundle and provider."""
    providers = ("cuda", "tensorrt") if device == "cuda" else ("cpu",)
    return {
        f"onnxruntime_{provider}_{precision}": (bundle, provider)
        for provider in providers
        for precision, bundle in bundles.items()
    }


def _plans(
    steps: Steps, bundles: Mapping[str, Bundle], target: str, folder: Path, most: int
) -> dict[str, tuple[Bundle, str]]:
    """Sides that run plans, built here for batches of up to `most`: name -> bundle and provider."""
    from voxface.export.optimisation_profile import DEFAULT, DimensionRange
    from voxface.export.tensorrt_build import build_bundle

    ranges = {"B": DimensionRange(1, 1, most), "T": DimensionRange(1, FRAMES, DEFAULT["T"].most)}
    found: dict[str, tuple[Bundle, str]] = {}
    for flavour, provider in (("tensorrt-rtx", "tensorrt-rtx"), ("tensorrt", "tensorrt-native")):
        for precision, bundle in bundles.items():
            name = f"{provider.replace('-', '_')}_{precision}"
            build = partial(build_bundle, bundle, folder / name, flavour, [target], ranges=ranges)
            built = steps.do(f"build, {name}", build, least_s=60)
            if built is None:
                break  # the library is missing, or there is no time
            found[name] = built[0], provider
    return found


def _batch(
    steps: Steps,
    batch: int,
    nets: dict[str, Any] | None,
    known: Mapping[str, Any],
    device: str,
    effort: Effort,
    opened: ExitStack,
) -> None:
    """Measures all sides in turns; each that does not open, or fails at its first update, is left out."""
    plans = {name: value for name, value in known.items() if isinstance(value, tuple)}
    bundles: dict[str, Bundle] = {name: value for name, value in known.items() if name not in plans}
    sides: dict[str, Update] = {}
    kernels: dict[str, KernelTime] = {}
    example = np.random.default_rng(0).normal(size=(batch, 64, FRAMES)).astype(np.float32)

    def add(name: str, make: Callable[[], tuple[Update, KernelTime | None]]) -> None:
        if steps.left_s < 20:
            steps.leave_out(f"{name}, batch {batch}", "no time was left")
            return
        try:
            update, kernel_ms = make()
            update(example)
        except (
            Exception
        ) as error:  # a compiler that is missing, memory that does not suffice, an operator that is not there
            steps.leave_out(f"{name}, batch {batch}", reason_of(error))
            return
        sides[name] = update
        if kernel_ms is not None:
            kernels[name] = kernel_ms

    if nets is not None:
        add("pytorch_eager_fp32", lambda: (pytorch(nets, device), None))
        if effort is not QUICK:
            add("pytorch_compiled_fp32", lambda: (pytorch(nets, device, compiled=True), None))
        if device == "cuda":
            add("pytorch_eager_fp16", lambda: (pytorch(nets, device, half=True), None))
            for half in (False, True):
                name = f"pytorch_cuda_graph_{'fp16' if half else 'fp32'}"
                add(name, partial(pytorch_graph, nets, batch, FRAMES, half=half))
    for name, (bundle, provider) in {**_as_they_are(bundles, device), **plans}.items():
        add(name, partial(_opened, bundle, provider, opened))
    if not sides:
        raise ProviderError("nothing runs here")
    steps.measured[f"batch_{batch}"] = _measured(
        sides, kernels, batch, effort, min(effort.seconds, steps.left_s / 2), bundles["fp32"]
    )


def _opened(bundle: Bundle, provider: str, opened: ExitStack) -> tuple[Update, KernelTime | None]:
    each = [opened.enter_context(open_graph(bundle, graph, provider)) for graph in GRAPHS]
    return engines(each, FRAMES), kernels_of(each)


def _measured(
    sides: dict[str, Update],
    kernels: dict[str, KernelTime],
    batch: int,
    effort: Effort,
    seconds: float,
    bundle: Bundle,
) -> dict[str, Any]:
    """Milliseconds of every side, taking turns, and how far each is from eager PyTorch on the last update."""
    generator = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, Answer] = {}
    ends = time.monotonic() + seconds
    for round_ in range(-effort.warm_up, effort.rounds):
        features = generator.normal(size=(batch, 64, FRAMES)).astype(np.float32)
        for name, update in sides.items():
            began = time.perf_counter_ns()
            answers[name] = update(features)
            if round_ >= 0:
                times[name].append((time.perf_counter_ns() - began) / 1e6)
        if round_ >= 0 and time.monotonic() > ends:
            break
    arrays = {name: np.array(values) for name, values in times.items()}
    first = next(iter(sides))
    alone = {name: ms for name, measure in kernels.items() if (ms := measure()) is not None}
    return {
        "rounds": len(arrays[first]),
        "latency_ms": {name: _percentiles(values) for name, values in arrays.items()},
        "voices_per_s": {name: round(1000 * batch / float(np.median(values)), 1) for name, values in arrays.items()},
        "compared_with": first,
        "times_faster": {
            name: _times_faster(arrays[first], values) for name, values in arrays.items() if name != first
        },
        "difference": {
            name: difference(answer, answers[first], bundle) for name, answer in answers.items() if name != first
        },
        "kernels_ms": alone,
        "times_its_kernels": {name: float(np.median(arrays[name])) / ms for name, ms in alone.items()},
    }


def _times_faster(reference: NDArray[np.float64], values: NDArray[np.float64]) -> dict[str, float]:
    ratios = reference / values
    return {"p50": float(np.median(ratios)), "p5": float(np.quantile(ratios, 0.05))}


def _percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    p50, p90, p95, p99 = np.quantile(values, (0.5, 0.9, 0.95, 0.99)).tolist()
    return {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "variation": float(values.std() / values.mean())}


def _streams(bundle: Bundle, provider: str, effort: Effort) -> dict[str, Any]:
    """What 0.1 s of sound costs a live session in mode incremental, by the most streams in a turn."""
    from benchmarks.streams import HOP_S, Crowd, Side, Way, sound_of_clip
    from voxface.runtime.engines.packing import PACKED
    from voxface.runtime.voice_to_face import VoiceToFace

    found: dict[str, Any] = {}
    with VoiceToFace(bundle, provider) as voice_to_face:
        crowd = Crowd(voice_to_face, sound_of_clip(), Way("incremental"))
        # A GPU gains by a batch of the generator too.
        packed = PACKED if provider == "cpu" else PACKED | {"face", "mesh"}
        sides = {most: Side(crowd, most, packed) for most in effort.packs if most <= effort.streams}
        costs: dict[int, list[float]] = {most: [] for most in sides}
        for turn in range(-1, effort.turns):
            for most, side in sides.items():
                cost = side.turn(effort.streams)["wall_ms"]
                if turn >= 0:
                    costs[most].append(cost)
        for most, values in costs.items():
            ms = float(np.median(values))
            found[f"{most} at a time"] = {
                "ms_per_0.1_s": round(ms, 4),
                "streams_of_one_thread": round(1000 * HOP_S / ms, 1),
            }
    return found


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
