"""The calibration of a bundle: which nodes run in FP16 or INT8, decided on some clips and measured on others."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from onnx import NodeProto

from voxface.calibration.calibrated_bundle import assemble, check_not_calibrated, graph_files, origin
from voxface.calibration.clips import Clips
from voxface.calibration.lowering import Key, Lowering
from voxface.calibration.precision_plan import Decision, PrecisionPlan, fp16_hazards
from voxface.calibration.search import Search, search
from voxface.calibration.task_error import TOLERANCES, ErrorMeter, Runner, TaskError, Tolerances, summary, worst
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.int8 import THROUGH, WEIGHT_BITS, gives_out
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.bundle.precision_entries import CalibratedPrecision
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import UsageError

MODES: Final = ("fp16", "int8", "mixed")
# Shares of the tolerance that may be used up on the clips that decide, since other clips may be worse. FP16 beside INT8 may
# use half of what INT8 had to leave.
MARGIN: Final = 0.8
MARGIN_BESIDE_INT8: Final = 0.9
Report = Callable[[str, int, int, str], None]  # phase, how much of it is done, of how much, on what


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of a calibration.

    Attributes:
        mode: "fp16", "int8" (the rest stays FP32), or "mixed" (INT8 where it is within tolerance, else FP16, else FP32).
        tolerances: the largest task error allowed; None: the default of the mode.
        weight_bits: bits of INT8 weights, 7 or 8; see `voxface.onnx_graph.passes.int8`.
        alone_on: number of clips on which each node is lowered alone.
        decide_on: number of clips on which bisection decides.
    """

    mode: str
    tolerances: Tolerances | None = None
    weight_bits: int = WEIGHT_BITS
    alone_on: int = 3
    decide_on: int = 24

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"no precision {self.mode!r}; there are {', '.join(MODES)}")
        if self.weight_bits not in (7, 8):
            raise UsageError(f"INT8 weights of {self.weight_bits} bits; there are 7 and 8")

    @property
    def limits(self) -> Tolerances:
        """The tolerances in force."""
        return self.tolerances or TOLERANCES[self.mode]


@dataclass(frozen=True)
class Calibrated:
    """A calibrated bundle that is not yet written.

    Attributes:
        bundle: the new bundle, in memory.
        plan: what each node runs in.
        held_out: task error of each held-out clip, FP16 computed as a device computes it.
        onnxruntime: task error of each held-out clip, the files run by ONNX Runtime's CPU provider.
        all_lowered: task error of each held-out clip if every node were lowered.
    """

    bundle: Bundle
    plan: PrecisionPlan
    held_out: list[TaskError]
    onnxruntime: list[TaskError]
    all_lowered: list[TaskError]

    def write(self, out: Path) -> Bundle:
        """Writes the bundle, whole or not at all, and opens it again: a zip if `out` ends in `.voxface`, else a folder."""
        return self.bundle.write(out)


def calibrate(bundle: Bundle, clips: Clips, settings: CalibrationSettings, report: Report | None = None) -> Calibrated:
    """Decides what each node runs in, measures the result and makes the new bundle; writes nothing.

    Args:
        bundle: a bundle whose arithmetic is FP32.
        clips: clips from `load_clips`.
        settings: mode and tolerances.
        report: called with the phase, how much of it is done, of how much, and on what.

    Raises:
        UsageError: the bundle has been calibrated already.
        BundleError: a graph cannot be calibrated.
    """
    progress = report or (lambda phase, done, total, label: None)
    check_not_calibrated(bundle)
    reference: dict[str, Runner] = {name: open_engine(bundle.graph(name), name=name) for name in GRAPHS}
    lowering = Lowering(
        {name: Graph.from_bytes(bundle.graph(name), name=name) for name in GRAPHS},
        weight_bits=settings.weight_bits,
        int8=settings.mode != "fp16",
    )
    morphable = bundle.morphable
    lowering.observe("encoder", ({"log_mel": clip.log_mel} for clip in clips.calibration))
    all_clips = ErrorMeter(reference, clips.calibration, morphable)
    embeddings = [{"embedding": outputs.embedding[None]} for outputs in all_clips.reference]
    for name in ("face", "mesh"):
        lowering.observe(name, embeddings)
    decider = _PrecisionSearch(
        lowering,
        alone=ErrorMeter(reference, (*clips.calibration[: settings.alone_on], clips.longest), morphable),
        deciding=ErrorMeter(reference, (*clips.calibration[: settings.decide_on], clips.longest), morphable),
        held_out=ErrorMeter(reference, (*clips.held_out, clips.longest_held_out), morphable),
        limits=settings.limits,
        report=progress,
    )

    int8: Search[Key] | None = None
    if settings.mode != "fp16":
        candidates = lowering.int8_candidates()
        int8 = decider.decide("int8", candidates, lambda nodes: (nodes, ()), MARGIN, mixed=settings.mode == "mixed")
    int8_nodes = int8.lowered if int8 else frozenset()
    fp16: Search[Key] | None = None
    if settings.mode != "int8":
        margin = MARGIN_BESIDE_INT8 if int8_nodes else MARGIN
        candidates = lowering.fp16_candidates(int8_nodes)
        mixed = bool(int8_nodes)
        fp16 = decider.decide("fp16", candidates, lambda nodes: (int8_nodes, nodes), margin, mixed=mixed)
    fp16_nodes = fp16.lowered if fp16 else frozenset()

    plan = PrecisionPlan(settings.mode, settings.limits, tuple(decider.decisions(int8, fp16)))
    changed = {at for at, _ in (*int8_nodes, *fp16_nodes)}
    graphs: dict[str, Graph] = {
        name: lowering.graph(name, int8_nodes, fp16_nodes) for name in GRAPHS if name in changed
    }
    files, engines = graph_files(bundle, graphs)
    measure = lowering.runners if settings.mode != "mixed" else lowering.emulators
    held_out = decider.held_out.errors(measure(int8_nodes, fp16_nodes))
    real = decider.held_out.errors(engines)
    every_int8 = () if settings.mode == "fp16" else lowering.int8_candidates()
    every_fp16 = () if settings.mode == "int8" else lowering.fp16_candidates(every_int8)
    all_lowered = decider.held_out.errors(measure(every_int8, every_fp16))
    measured: dict[str, Any] = {
        "held_out": summary(held_out),
        "onnxruntime_cpu": summary(real),
        "every_node_lowered": summary(all_lowered),
    }
    described = CalibratedPrecision(
        mode=settings.mode,
        tolerances=asdict(settings.limits),
        weight_bits=None if settings.mode == "fp16" else settings.weight_bits,
        nodes=plan.counts(),
        **measured,
        **origin(bundle, clips),
    )
    used = [name for name, some in (("int8", int8_nodes), ("float16", fp16_nodes)) if some]
    made = assemble(bundle, files, plan, described, used)
    return Calibrated(made, plan, held_out, real, all_lowered)


class _PrecisionSearch:
    """The searches for INT8 and for FP16 nodes, and the task errors that they have measured."""

    def __init__(
        self,
        lowering: Lowering,
        *,
        alone: ErrorMeter,
        deciding: ErrorMeter,
        held_out: ErrorMeter,
        limits: Tolerances,
        report: Report,
    ) -> None:
        self._lowering, self._alone, self._deciding, self.held_out = lowering, alone, deciding, held_out
        self._limits, self._report = limits, report
        self.errors: dict[str, dict[Key, TaskError]] = {}

    def decide(
        self,
        kind: str,
        candidates: Sequence[Key],
        choice: Callable[[Collection[Key]], tuple[Collection[Key], Collection[Key]]],
        margin: float,
        *,
        mixed: bool,
    ) -> Search[Key]:
        """Ranks the candidates, searches on the clips that decide, and verifies on the held-out clips.

        If the held-out clips exceed the tolerance, the search goes on with them.

        Args:
            kind: "int8" or "fp16".
            candidates: nodes that may be lowered.
            choice: maps the candidates that are lowered to all INT8 nodes and all FP16 nodes.
            margin: share of the tolerance that may be used up on the clips that decide.
            mixed: whether there will be both INT8 and FP16 nodes.
        """
        errors = self.errors.setdefault(kind, {})
        for done, node in enumerate(candidates):
            int8_nodes, fp16_nodes = ((node,), ()) if kind == "int8" else ((), (node,))
            errors[node] = worst(self._alone.errors(self._lowering.runners(int8_nodes, fp16_nodes)))
            self._report(f"each node in {kind}", done + 1, len(candidates), "/".join(node))
        asked = 0

        def score(meter: ErrorMeter, what: str) -> Callable[[frozenset[Key]], float]:
            def ask(nodes: frozenset[Key]) -> float:
                nonlocal asked
                asked += 1
                chosen = choice(nodes)
                if mixed:  # the emulator rounds INT8 at other places than this CPU, which may also saturate
                    errors = meter.errors(self._lowering.emulators(*chosen))
                    errors += meter.errors(self._lowering.engines(*chosen))
                else:
                    errors = meter.errors(self._lowering.runners(*chosen))
                value = self._share(worst(errors))
                self._report(f"sets in {kind}", asked, asked + 1, f"{len(nodes)} nodes, {what}")
                return value

            return ask

        alone = {node: self._share(error) for node, error in errors.items()}
        # FP16 gains the same with every node, INT8 most where there is much to multiply.
        worth = {node: self._lowering.products(node) for node in candidates} if kind == "int8" else None
        found = search(alone, score(self._deciding, "deciding"), margin, worth)
        # INT8 leaves a share of the tolerance to FP16.
        limit = MARGIN_BESIDE_INT8 if mixed and kind == "int8" else 1.0
        # The held-out clips decide nothing if the first result is within the tolerance on them, as it usually is.
        lowered = {node: share for node, share in alone.items() if node in found.lowered}
        return search(lowered, score(self.held_out, "verifying"), limit, worth)

    def _share(self, error: TaskError) -> float:
        return error.share(self._limits)

    def decisions(self, int8: Search[Key] | None, fp16: Search[Key] | None) -> list[Decision]:
        """What each node runs in, and why."""
        int8_nodes = int8.lowered if int8 else frozenset()
        fp16_nodes = fp16.lowered if fp16 else frozenset()
        between = self._lowering.between(int8_nodes) if int8 else set()
        decisions = []
        for name, graph in self._lowering.graphs.items():
            ranges = self._lowering.ranges[name]
            for node in graph.nodes:
                key = (name, node.name)
                tried = [kind for kind in ("int8", "fp16") if key in self.errors.get(kind, {})]
                if key in int8_nodes:
                    precision, shown = "int8", "int8"
                elif key in fp16_nodes:
                    precision, shown = "fp16", "fp16"
                elif key in between:
                    precision, shown = "int8", ""
                else:
                    precision = "fp32" if any(map(graph.is_float, node.output)) else "integer"
                    shown = tried[-1] if tried else ""
                error = self.errors[shown][key] if shown else None
                share = None if error is None else self._share(error)
                if key in int8_nodes or key in fp16_nodes:
                    why = f"alone it uses {_percent(share)} of the tolerance"
                elif key in between:
                    why = "its data comes and goes as INT8"
                elif precision == "integer":
                    why = "computes no floating-point numbers"
                elif share is not None:
                    reasons = fp16_hazards(graph, node, ranges) if shown == "fp16" else []
                    alone = (
                        "alone it overflows"
                        if share == float("inf")
                        else f"alone it uses {_percent(share)} of the tolerance"
                    )
                    too_much = "" if share > 1 else ", too much with the others"
                    why = "; ".join([f"{alone}{too_much}", *reasons])
                else:
                    why = _why_not_int8(graph, node) if int8 and not fp16 else "its half precision is not emulated"
                most = ranges[node.output[0]].most if node.output[0] in ranges else None
                decisions.append(Decision(name, node.name, node.op_type, precision, why, error, share, most))
        return decisions


def _why_not_int8(graph: Graph, node: NodeProto) -> str:
    if node.op_type in ("Conv", "ConvTranspose") and gives_out(graph, node):
        return "the graph gives out what it makes"
    if node.op_type in THROUGH and any(map(graph.is_float, node.input)):
        return "not between INT8 nodes"
    return "no INT8 form of it"


def _percent(share: float | None) -> str:
    if share is None or share == float("inf"):
        return "all"
    return f"{share:.0%}" if share >= 0.01 else "under 1%"
