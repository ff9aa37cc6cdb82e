"""TensorRT plans made of ONNX graphs, in the same way for both flavours.

Graphs are built strongly typed: every tensor has the precision that is written in the ONNX file. TensorRT for RTX builds ahead
of time for any GPU it knows, on a machine without one; TensorRT proper builds for the GPU it runs on. The module imports no
torch, and onnx only when a graph has to be rewritten.
"""

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voxface.export.optimisation_profile import DEFAULT, DimensionRange, input_shapes
from voxface.export.plan_inspection import inspect, network_precisions, wished_precisions
from voxface.runtime.bundle.bundle import FUSED, Bundle
from voxface.runtime.bundle.engine_entries import ChangeEntry, EngineEntry, ProfileEntry
from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.engines.tensorrt_library import library, log_of
from voxface.runtime.errors import BundleError, InputError, ProviderError, UsageError
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.cache_folder import cache_folder
from voxface.runtime.files.locks import locked

FOLDER = "engines"
TURING = "sm75"
Report = Callable[[str, int, int], None]  # what is being built, steps done, steps in all
Repair = Callable[
    [bytes], tuple[bytes, list[str]]
]  # an ONNX file -> the rewritten file and the names of the nodes changed


@dataclass(frozen=True)
class BuiltPlan:
    """A plan that has been built.

    Attributes:
        entry: its entry in the manifest.
        data: the bytes that the library reads.
        seconds: how long it took to build.
    """

    entry: EngineEntry
    data: bytes
    seconds: float


@dataclass
class _Built:
    data: bytes
    precision: dict[str, str]  # of the network's layers
    changes: list[ChangeEntry] = field(default_factory=list)


class _RefusedError(Exception):
    """TensorRT did not build the graph; the message is its last error."""


def build_bundle(
    bundle: Bundle,
    out: Path,
    flavour: str,
    targets: Sequence[str] | None = None,
    *,
    ranges: Mapping[str, DimensionRange] | None = None,
    only: bool = False,
    fused: bool = False,
    report: Report | None = None,
) -> tuple[Bundle, list[BuiltPlan]]:
    """Builds every graph of a bundle and writes the bundle with the engines in it, whole or not at all.

    An engine replaces one of the same graph, flavour, version, targets and profile. Engines of other versions and targets stay,
    so that one bundle can go to several machines; those that `out` has of the same graphs stay too.

    Args:
        bundle: the bundle whose graphs are built.
        out: where the new bundle goes, a zip if it ends in `.voxface`, else a folder; may be the place of `bundle`.
        flavour: "tensorrt" or "tensorrt-rtx".
        targets: compute capabilities, as "sm86"; None: for RTX all but Turing, else this machine's GPU.
        ranges: dimension -> lengths, in place of the defaults.
        only: drop the engines that the bundle has already.
        fused: add the three graphs as one, with an engine of its own; a bundle that has such a graph keeps it.
        report: called with what is being built, the steps done and the number of steps.

    Raises:
        UsageError: a target that cannot be built for, or a dimension without lengths.
        ProviderError: the library is missing, or for TensorRT proper a GPU.
        InputError: TensorRT refuses a graph.
    """
    trt = library(flavour)
    groups = target_groups(trt, flavour, targets)
    lengths = {**DEFAULT, **(ranges or {})}
    if fused:
        bundle = _with_fused(bundle)
    removed = {entry.file for entry in bundle.manifest.engines or ()} | _plans_of(out) if only else set()
    built = []
    for graph in bundle.graphs:
        for group in groups:
            shapes = input_shapes(bundle.manifest.graphs[graph].inputs, lengths)
            built.append(_engine(trt, bundle, graph, flavour, group, shapes, report))
    with locked(Path(os.path.realpath(out)).parent):
        return _with_plans(bundle, out, built, removed).write(out), built


def _plans_of(path: Path) -> set[str]:
    """The files of the engines that a bundle has; none where there is no bundle."""
    with suppress(BundleError):
        return {entry.file for entry in Bundle.open(path).manifest.engines or ()}
    return set()


def _with_plans(bundle: Bundle, out: Path, built: Sequence[BuiltPlan], removed: set[str]) -> Bundle:
    """The bundle with new plans, and with those that it and `out` have of the same graphs, except `removed`.

    `out` is read again when everything is built, so that of two builds into one bundle at the same time both count.
    """
    sources = [bundle]
    with suppress(BundleError):  # nothing there yet, or nothing that could be kept
        there = Bundle.open(out)
        if there.graph_digests() == bundle.graph_digests():
            sources.append(there)
            if there.fused and not bundle.fused:
                entry = there.manifest.graphs[FUSED]
                bundle = bundle.replacing(files={entry.file: there.files[entry.file]}, graphs={FUSED: entry})
    current = {name: hashlib.sha256(bundle.graph(name)).hexdigest() for name in bundle.graphs}
    plans = {
        entry.file: (entry, source.files[entry.file])
        for source in sources
        for entry in source.manifest.engines or ()
        if entry.file not in removed and entry.onnx_sha256 == current.get(entry.graph)
    }
    for engine in built:  # moves to the end what replaces another
        plans.pop(engine.entry.file, None)
        plans[engine.entry.file] = engine.entry, engine.data
    files: dict[str, bytes | None] = {entry.file: None for entry in bundle.manifest.engines or ()}
    files |= {file: data for file, (_, data) in plans.items()}
    return bundle.replacing(files=files, engines=tuple(entry for entry, _ in plans.values()))


def _with_fused(bundle: Bundle) -> Bundle:
    try:
        from voxface.export.fused_graph import with_fused
    except ImportError as error:
        raise ProviderError(f"fusing graphs needs {error.name}: pip install onnx, then build again") from error
    return with_fused(bundle)


def target_groups(trt: Any, flavour: str, targets: Sequence[str] | None) -> list[tuple[str, ...]]:
    """The targets in groups, one plan for each group, in order; Turing gets a plan of its own.

    The vendor says that a plan with code for Turing and for others may be slower on the others.

    Raises:
        UsageError: a target that this flavour does not build for.
        ProviderError: for TensorRT proper, there is no GPU to build on.
    """
    if flavour == "tensorrt-rtx":
        names = (name for name in trt.ComputeCapability.__members__ if re.fullmatch(r"SM\d+", name))
        possible = sorted((name.lower() for name in names), key=lambda name: int(name[2:]))
        chosen = list(targets) if targets else [target for target in possible if target != TURING]
    else:
        from voxface.runtime.engines.cuda_memory import Cuda

        possible = [Cuda().target]
        chosen = list(targets) if targets else possible
    for target in chosen:
        if target not in possible:
            here = "" if flavour == "tensorrt-rtx" else " (it builds for the GPU of this machine only)"
            raise UsageError(f"--target {target}: {flavour} {trt.__version__} builds for {', '.join(possible)}{here}")
    chosen = sorted(set(chosen), key=possible.index)
    together = tuple(target for target in chosen if target != TURING)
    return [group for group in (((TURING,) if TURING in chosen else ()), together) if group]


def _engine(
    trt: Any,
    bundle: Bundle,
    graph: str,
    flavour: str,
    targets: tuple[str, ...],
    shapes: dict[str, ProfileEntry],
    report: Report | None,
) -> BuiltPlan:
    """Builds one plan and makes its entry."""
    onnx = bundle.graph(graph)
    try:
        check_onnx_file(onnx)
    except ValueError as error:
        raise BundleError(f"{bundle.path}: {graph} is not given to {flavour}: {error}") from error
    began = time.perf_counter()
    label = f"{graph} for {','.join(targets)}"
    built = _with_repairs(trt, onnx, flavour, targets, shapes, label, report)
    entry = EngineEntry(
        graph=graph,
        flavour=flavour,
        version=trt.__version__,
        targets=targets,
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        precision=tuple(sorted(set(built.precision.values()))),
        profile=shapes,
        changes=tuple(built.changes),
        inspection=inspect(trt, built.data, built.precision, wished_precisions(bundle, graph)),
        file="",
        size=len(built.data),
    )
    plan = EnginePlan.from_entry(entry, bundle.manifest.graphs, built.data)
    entry = replace(entry, file=f"{FOLDER}/{plan.key}.plan")
    return BuiltPlan(entry, built.data, time.perf_counter() - began)


def _with_repairs(
    trt: Any,
    onnx: bytes,
    flavour: str,
    targets: tuple[str, ...],
    shapes: dict[str, ProfileEntry],
    label: str,
    report: Report | None,
) -> _Built:
    """Builds a graph. A graph that TensorRT refuses is rewritten by one repair after another and tried again."""
    changes: list[ChangeEntry] = []
    repairs: dict[str, Repair] | None = None
    while True:
        try:
            built = _build(trt, onnx, flavour, targets, shapes, label, report)
            built.changes = changes
            return built
        except _RefusedError as error:
            refused = str(error)
        names: list[str] = []
        try:
            if repairs is None:
                repairs = _repairs(targets)
            while repairs and not names:
                what = next(iter(repairs))
                onnx, names = repairs.pop(what)(onnx)
        except ImportError as error:
            raise ProviderError(
                f"the graph was refused ({refused}); rewriting it needs {error.name}: pip install {error.name}, "
                "then build again"
            ) from error
        if not names:
            raise InputError(f"{label}: {flavour} {trt.__version__} refuses the graph: {refused}")
        changes.append(ChangeEntry(what=what, nodes=tuple(names), because=refused))


def _repairs(targets: tuple[str, ...]) -> dict[str, Repair]:
    """What is done to a graph -> the repair, the more likely one first.

    Raises:
        ImportError: onnx is not installed.
    """
    from voxface.onnx_graph.graph import Graph
    from voxface.onnx_graph.passes.tensorrt_repairs import (
        grouped_convolutions_in_fp32,
        is_grouped_fp16_convolution,
        is_matrix_product,
        products_as_convolutions,
    )

    def repair(applies: Callable[..., bool], rewrite: Callable[..., Graph]) -> Repair:
        def run(onnx: bytes) -> tuple[bytes, list[str]]:
            try:
                graph = Graph.from_bytes(onnx)
            except BundleError:  # no standard ONNX: TensorRT's own reason says more
                return onnx, []
            names = [node.name for node in graph.nodes if applies(graph, node)]
            return rewrite(graph, names).to_bytes() if names else onnx, names

        return run

    grouped = repair(is_grouped_fp16_convolution, grouped_convolutions_in_fp32)
    found = {"grouped FP16 convolutions in FP32": grouped}
    if TURING in targets:
        products = repair(is_matrix_product, products_as_convolutions)
        return {"FP32 matrix products as 1×1 convolutions": products, **found}
    return found


def _build(
    trt: Any,
    onnx: bytes,
    flavour: str,
    targets: tuple[str, ...],
    shapes: dict[str, ProfileEntry],
    label: str,
    report: Report | None,
) -> _Built:
    """Builds a graph once.

    Raises:
        _RefusedError: TensorRT did not parse or build the graph.
        KeyboardInterrupt: the user stopped the build.
    """
    log = log_of(trt)
    log.clear()
    builder = trt.Builder(log)
    strongly = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 knows nothing else
    network = builder.create_network(0 if strongly is None else 1 << int(strongly))
    config = builder.create_builder_config()
    with _watched(trt, config, label, report):
        parser = trt.OnnxParser(network, log)
        if not parser.parse(onnx):
            raise _RefusedError(_parser_error(parser) or log.last_error())
        if hasattr(trt.BuilderFlag, "TF32"):
            config.clear_flag(
                trt.BuilderFlag.TF32
            )  # on by default, with 10 bits of mantissa in what the graph calls FP32
        if flavour == "tensorrt-rtx" and hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
            config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # else RTX may allocate as it runs: no CUDA graph
        if hasattr(trt, "ProfilingVerbosity"):
            config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the inspector tells names and no types
        profile = builder.create_optimization_profile()
        for name, lengths in shapes.items():
            profile.set_shape(name, list(lengths.min), list(lengths.opt), list(lengths.max))
        if config.add_optimization_profile(profile) < 0:
            raise _RefusedError(f"the profile does not fit the graph ({log.last_error()})")
        if flavour == "tensorrt-rtx":
            config.num_compute_capabilities = len(targets)
            for index, target in enumerate(targets):
                config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), index)
        # RTX ignores a timing cache, and with one it would look for a GPU.
        timings = _timing_cache(trt, config, targets[0]) if flavour == "tensorrt" else None
        precision = network_precisions(trt, network)
        data = builder.build_serialized_network(network, config)
    if data is None:
        raise _RefusedError(log.last_error())
    if timings is not None:
        with suppress(OSError):  # a read-only home costs measuring again
            write_bytes(timings, bytes(config.get_timing_cache().serialize()))
    return _Built(bytes(data), precision)


def _parser_error(parser: Any) -> str:
    """The parser's last error, with its node; empty if there was none."""
    if not parser.num_errors:
        return ""
    error = parser.get_error(parser.num_errors - 1)
    node = f"{error.node_operator()} {error.node_name()}: " if hasattr(error, "node_operator") else ""
    return " ".join(f"{node}{error.desc()}".split())


def _timing_cache(trt: Any, config: Any, target: str) -> Path:
    """Gives the builder the timings of earlier builds; returns the file in which they are kept."""
    path = cache_folder(FOLDER, f"tensorrt-{trt.__version__}-{target}.timing")
    known = b""
    with suppress(OSError):
        known = path.read_bytes()
    cache = config.create_timing_cache(known)
    if not config.set_timing_cache(cache, False):  # of another GPU after all
        config.set_timing_cache(config.create_timing_cache(b""), False)
    return path


@contextmanager
def _watched(trt: Any, config: Any, label: str, report: Report | None) -> Iterator[None]:
    """Reports progress while TensorRT builds, and lets Ctrl-C end the build.

    An exception must not leave a callback, since it would end the process inside TensorRT's code. So an exception is kept, the
    build is told to end, and the exception is raised when the builder has returned.
    """
    stopped: list[BaseException] = []
    if not hasattr(trt, "IProgressMonitor"):
        yield
        return

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # the binding wants it called by name
            self.steps: dict[str, int] = {}
            self.outermost: str | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self.outermost = phase_name
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                if report is not None and phase_name == self.outermost:
                    report(label, step + 1, self.steps[phase_name])
            except BaseException as error:
                stopped.append(error)
            return not stopped

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    def interrupt(number: int, frame: Any) -> None:
        stopped.append(KeyboardInterrupt())

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if here else None
    monitor = Monitor()
    config.progress_monitor = monitor
    try:
        yield
    finally:
        if here:
            signal.signal(signal.SIGINT, before)
        if stopped:
            raise stopped[0]
