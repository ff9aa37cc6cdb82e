"""The calibration that sees time: the Pareto front of milliseconds and task error on this device, and one point of it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxface.calibration.calibrate import MARGIN, Report
from voxface.calibration.calibrated_bundle import assemble, check_not_calibrated, graph_files, origin
from voxface.calibration.calibration_state import CalibrationState, digest
from voxface.calibration.clips import Clip, Clips
from voxface.calibration.device import this_device
from voxface.calibration.forms import CONVOLUTIONS, FP16, FP32, INT8, Forms, only
from voxface.calibration.front_report import JSON, SVG, TABLE, FrontReport, FrontRow, front_plot
from voxface.calibration.lowering import Lowering
from voxface.calibration.pareto_front import OBJECTIVES, Point, choose, front
from voxface.calibration.precision_plan import Decision, PrecisionPlan
from voxface.calibration.regions import regions
from voxface.calibration.stopwatch import EngineChoice, Stopwatch, TurnStopwatch
from voxface.calibration.task_error import TOLERANCES, ErrorMeter, Runner, TaskError, Tolerances, summary
from voxface.calibration.timed_search import Effort, Found, Measured, TimedSearch
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import Tensor
from voxface.onnx_graph.passes.int8 import WEIGHT_BITS
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.file_entries import FileReference
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.bundle.precision_entries import CalibratedPrecision
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import UsageError
from voxface.runtime.version import __version__

MODE: Final = "timed"
WINDOW: Final = 800  # frames of the live window of 8 s
_USED: Final = {INT8: "int8", FP16: "float16"}


@dataclass(frozen=True)
class TimedSettings:
    """Settings of a calibration that sees time.

    Attributes:
        objective: "latency": the fastest point within the tolerances; "error": the most exact one within `most_ms`; "pareto":
            the knee of the front within both.
        engines: what is timed; the first one's FP32 is what others are compared with.
        tolerances: the largest task error allowed.
        most_ms: milliseconds that an update may take.
        weight_bits: bits of INT8 weights, 7 or 8.
        effort: how much is measured.
        alone_on, decide_on: number of clips on which layers are lowered alone, and on which candidates are measured.
    """

    objective: str
    engines: tuple[EngineChoice, ...] = (EngineChoice(),)
    tolerances: Tolerances = TOLERANCES["mixed"]
    most_ms: float = math.inf
    weight_bits: int = WEIGHT_BITS
    effort: Effort = field(default_factory=Effort)
    alone_on: int = 3
    decide_on: int = 12

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UsageError(f"no objective {self.objective!r}; there are {', '.join(OBJECTIVES)}")
        if not self.most_ms > 0:
            raise UsageError(f"--max-ms {self.most_ms:g}: a positive number of milliseconds")
        if not self.engines:
            raise UsageError("no engine to time")


@dataclass(frozen=True)
class TimedCalibration:
    """A bundle that is calibrated for this device and not yet written.

    Attributes:
        bundle: the new bundle, in memory.
        plan: what each node runs in.
        report: the front, and what was measured.
        held_out: task error of each held-out clip, FP16 computed as a device computes it.
    """

    bundle: Bundle
    plan: PrecisionPlan
    report: FrontReport
    held_out: list[TaskError]

    def write(self, out: Path) -> Bundle:
        """Writes the bundle, whole or not at all, and opens it again: a zip if `out` ends in `.voxface`, else a folder."""
        return self.bundle.write(out)


def state_of(bundle: Bundle, clips: Clips, settings: TimedSettings) -> dict[str, Any]:
    """What measurements depend on, for `CalibrationState`: objective and bounds are left out, as they only choose."""
    some = (*clips.calibration, *clips.held_out)
    return {
        "bundle": bundle.manifest.sha256,
        "speech": [[clip.name, digest({"log_mel": clip.log_mel.tobytes().hex()})] for clip in some],
        "engines": [str(engine) for engine in settings.engines],
        "tolerances": asdict(settings.tolerances),
        "weight_bits": settings.weight_bits,
        "effort": asdict(settings.effort),
        "clips": [settings.alone_on, settings.decide_on],
        "device": this_device(),
        "versions": {
            "voxface": __version__,
            **{name: metadata.version(name) for name in ("numpy", "onnx", "onnxruntime")},
        },
    }


def calibrate_timed(
    bundle: Bundle,
    clips: Clips,
    settings: TimedSettings,
    state: CalibrationState | None = None,
    report: Report | None = None,
    stopwatch: Stopwatch | None = None,
) -> TimedCalibration:
    """Measures time and error, chooses, and makes the new bundle; writes nothing but the state.

    Args:
        bundle: a bundle whose arithmetic is FP32.
        clips: clips from `voxface.calibration.clips.load_clips`.
        settings: objective, engines, bounds.
        state: what an interrupted run has measured already.
        report: called with the phase, how much of it is done, of how much, and on what.
        stopwatch: what measures time; tests hand in a model of costs.

    Raises:
        UsageError: the bundle has been calibrated already, or nothing is within the bounds.
        BundleError, ProviderError: a graph cannot be calibrated, or an engine does not open.
    """
    check_not_calibrated(bundle)
    reference: dict[str, Runner] = {name: open_engine(bundle.graph(name), name=name) for name in GRAPHS}
    lowering = Lowering(
        {name: Graph.from_bytes(bundle.graph(name), name=name) for name in GRAPHS}, weight_bits=settings.weight_bits
    )
    every = ErrorMeter(reference, clips.calibration, bundle.morphable)
    lowering.observe("encoder", ({"log_mel": clip.log_mel} for clip in clips.calibration))
    for name in ("face", "mesh"):
        lowering.observe(name, [{"embedding": outputs.embedding[None]} for outputs in every.reference])
    forms = Forms(lowering, (region for name, graph in lowering.graphs.items() for region in regions(graph, name)))

    def meter(*some: Clip) -> ErrorMeter:
        return ErrorMeter(reference, some, bundle.morphable)

    feeds = feeds_of(bundle, clips.calibration[0], reference)
    search = TimedSearch(
        forms,
        feeds,
        alone=meter(*clips.calibration[: settings.alone_on], clips.longest),
        deciding=meter(*clips.calibration[: settings.decide_on], clips.longest),
        limits=settings.tolerances,
        engines=settings.engines,
        stopwatch=stopwatch or TurnStopwatch(),
        effort=settings.effort,
        state=state or CalibrationState(None, {}),
        report=report or (lambda phase, done, total, what: None),
    )
    found = search.run()
    verifying = meter(*clips.held_out, clips.longest_held_out)
    rows = _rows(found, settings, lambda measured: search.held_out(verifying, measured.update))
    frames = feeds["encoder"]["log_mel"].shape[2]
    return _made(bundle, clips, settings, forms, FrontReport(
        settings.objective, settings.tolerances, this_device(), rows, found, frames
    ), verifying)  # fmt: skip


def feeds_of(bundle: Bundle, clip: Clip, reference: Mapping[str, Runner]) -> dict[str, dict[str, Tensor]]:
    """What the graphs get in an update: a full window of speech, and its embedding."""
    frames = max(WINDOW, bundle.front_end.shortest)
    times = -(-frames // clip.log_mel.shape[2])
    log_mel = np.ascontiguousarray(np.tile(clip.log_mel, times)[:, :, :frames])
    embedding = reference["encoder"].run({"log_mel": log_mel})["embedding"]
    return {"encoder": {"log_mel": log_mel}, "face": {"embedding": embedding}, "mesh": {"embedding": embedding}}


def _rows(found: Found, settings: TimedSettings, held_out: Any) -> list[FrontRow]:
    """The candidates as rows, the fastest first. A point of the front must keep the tolerances on the held-out clips to be
    chosen, and some of them must be left on the clips that decided."""
    limits = settings.tolerances
    points = found.points(limits)
    best = front(points)
    errors: dict[str, TaskError] = {point.name: held_out(point.what) for point in best}
    possible = [point for point in best if errors[point.name].share(limits) <= 1]
    chosen = choose(possible, settings.objective, most_share=MARGIN, most_ms=settings.most_ms)
    ordered: list[Point[Measured]] = sorted(points, key=lambda p: (p.ms, p.name))
    return [FrontRow(p.what, p.share, errors.get(p.name), p.name == chosen.name) for p in ordered]


def _made(
    bundle: Bundle,
    clips: Clips,
    settings: TimedSettings,
    forms: Forms,
    report: FrontReport,
    verifying: ErrorMeter,
) -> TimedCalibration:
    """The new bundle, with the chosen point in it."""
    chosen = report.chosen.measured
    choice, engine = chosen.update.choice, chosen.update.engine
    changed = {name: forms.graph(name, choice) for name in GRAPHS if only(choice, name)}
    files, engines = graph_files(bundle, changed)
    real = verifying.errors(engines)
    half = FP16 in choice.values()  # which ONNX Runtime's CPU provider computes in FP32
    held_out = verifying.errors({n: forms.lowering.emulator(g) for n, g in changed.items()}) if half else real
    plan = PrecisionPlan(MODE, settings.tolerances, tuple(_decisions(forms, report)))
    described = CalibratedPrecision(
        mode=MODE,
        tolerances=asdict(settings.tolerances),
        weight_bits=settings.weight_bits if INT8 in choice.values() else None,
        nodes=plan.counts(),
        held_out=summary(held_out),
        onnxruntime_cpu=summary(real),
        **origin(bundle, clips),
        objective=settings.objective,
        time={
            "provider": engine.provider,
            "threads": engine.threads,
            "frames": report.frames,
            "ms": chosen.time.ms,
            "noise_ms": chosen.time.noise_ms,
            "ms_as_exported": report.exported.measured.time.ms,
            "device": dict(report.device),
        },
        front=FileReference(file=JSON),
        front_table=FileReference(file=TABLE),
        front_plot=FileReference(file=SVG),
    )
    used = [word for form, word in _USED.items() if form in choice.values()]
    more = {JSON: report.to_json(), TABLE: report.to_markdown().encode(), SVG: front_plot(report).encode()}
    return TimedCalibration(assemble(bundle, files, plan, described, used, more), plan, report, held_out)


def _decisions(forms: Forms, report: FrontReport) -> list[Decision]:
    """What each node runs in, and why."""
    choice, costs = report.chosen.measured.update.choice, report.found.costs[str(report.chosen.measured.update.engine)]
    nodes = forms.nodes(choice)
    between = forms.lowering.between(nodes.int8)
    region_of = {(r.graph, node): r for r in forms.regions.values() for node in r.nodes}
    found = []
    for name, graph in forms.lowering.graphs.items():
        for node in graph.nodes:
            key = (name, node.name)
            precision = "fp32" if any(map(graph.is_float, node.output)) else "integer"
            precision = "int8" if key in nodes.int8 | between else "fp16" if key in nodes.fp16 else precision
            region = region_of.get(key)
            ranges = forms.lowering.ranges[name]
            most = ranges[node.output[0]].most if node.output[0] in ranges else None
            if region is None:
                found.append(Decision(name, node.name, node.op_type, precision, "in no timed layer", most=most))
                continue
            form = choice.get(region.key, FP32)
            cost, alone = costs[region.key], report.found.alone[region.key]
            first = node.name == region.name
            why = f"with {region.name}" if not first else _why(form, cost.ms)
            error = alone.get(form) or alone.get(INT8) or alone.get(FP16)
            if not first or error is None:
                found.append(
                    Decision(name, node.name, node.op_type, precision, why, most=most, ms=cost.ms if first else None)
                )
                continue
            share = error.share(report.tolerances)
            found.append(Decision(name, node.name, node.op_type, precision, why, error, share, most, cost.ms))
    return found


def _why(form: str, ms: Mapping[str, float]) -> str:
    words = {FP32: "FP32 as exported", CONVOLUTIONS: "FP32 as convolutions", FP16: "FP16", INT8: "INT8"}
    times = ", ".join(f"{words[name]} {time:.3g} ms" for name, time in ms.items())
    return f"{words[form]}; alone {times}"
