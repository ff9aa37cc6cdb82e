"""A bundle's graphs in calibrated FP16, INT8 or both: decided node by node on real speech, measured on other speech."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Final

from onnx import NodeProto

from voxface.calibration.clips import Clips
from voxface.calibration.hazards import hazards
from voxface.calibration.lowering import Key, Lowering
from voxface.calibration.pipeline import Bench, Runner
from voxface.calibration.precision_plan import JSON, TABLE, Decision, PrecisionPlan
from voxface.calibration.search import Search, search
from voxface.calibration.sensitivity_plot import SVG, sensitivity_plot
from voxface.calibration.task_error import TOLERANCES, TaskError, Tolerances, summary, worst
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.int8 import THROUGH, WEIGHT_BITS, gives_out
from voxface.runtime.bundle.bundle import FUSED, GRAPHS, Bundle
from voxface.runtime.bundle.manifest import CalibratedPrecision, FileReference, PrecisionEntry, SourceEntry
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, UsageError

MODES: Final = ("fp16", "int8", "mixed")
# Of the tolerance, on the clips that decide: others may be worse. FP16 beside INT8 may use half of what INT8 had to leave.
MARGIN: Final = 0.8
MARGIN_BESIDE_INT8: Final = 0.9
Watch = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Settings:
    """How to calibrate.

    Attributes:
        mode: "fp16", "int8" (the rest FP32), or "mixed" (INT8 where it is within tolerance, then FP16, then FP32).
        tolerances: None: the mode's own.
        weight_bits: of INT8 weights, see `voxface.onnx_graph.passes.int8`.
        alone_on: clips that each node is tried on alone.
        decide_on: clips that bisection decides on.
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
        plan: what was decided.
        held_out: errors of each held-out clip, FP16 as a device computes it.
        onnxruntime: the same, of the files as ONNX Runtime's CPU provider runs them.
        all_lowered: the same as `held_out`, had every node been lowered.
    """

    bundle: Bundle
    plan: PrecisionPlan
    held_out: list[TaskError]
    onnxruntime: list[TaskError]
    all_lowered: list[TaskError]

    def write(self, out: Path) -> Bundle:
        """Writes the bundle (a zip if `out` ends in `.voxface`, else a folder), whole or not at all, and opens it again."""
        return self.bundle.write(out)


def calibrate(bundle: Bundle, clips: Clips, settings: Settings, watch: Watch | None = None) -> Calibrated:
    """Decides, measures and describes; writes nothing.

    Args:
        bundle: FP32 arithmetic.
        clips: from `load_clips`.
        settings: mode and tolerances.
        watch: told of a phase, how much of it is done, of how much, and on what.

    Raises:
        UsageError: the bundle has been calibrated already.
        BundleError: a graph that cannot be calibrated.
    """
    tell = watch or (lambda phase, done, total, label: None)
    before = bundle.manifest.precision and bundle.manifest.precision.calibrated
    if before:
        raise UsageError(f"{bundle.path}: is calibrated already ({before.mode}); give the bundle it was made from")
    reference: dict[str, Runner] = {name: open_engine(bundle.graph(name), name=name) for name in GRAPHS}
    lowering = Lowering(
        {name: Graph.from_bytes(bundle.graph(name), name=name) for name in GRAPHS}, weight_bits=settings.weight_bits
    )
    morphable = bundle.morphable
    lowering.observe("encoder", ({"log_mel": clip.log_mel} for clip in clips.calibration))
    everyone = Bench(reference, clips.calibration, morphable)
    embeddings = [{"embedding": answer.embedding[None]} for answer in everyone.reference]
    for name in ("face", "mesh"):
        lowering.observe(name, embeddings)
    session = _Session(
        lowering,
        alone=Bench(reference, (*clips.calibration[: settings.alone_on], clips.longest), morphable),
        deciding=Bench(reference, (*clips.calibration[: settings.decide_on], clips.longest), morphable),
        held_out=Bench(reference, (*clips.held_out, clips.longest_held_out), morphable),
        limits=settings.limits,
        tell=tell,
    )

    int8: Search[Key] | None = None
    if settings.mode != "fp16":
        candidates = lowering.int8_candidates()
        int8 = session.decide("int8", candidates, lambda nodes: (nodes, ()), MARGIN, mixed=settings.mode == "mixed")
    quantised = int8.lowered if int8 else frozenset()
    fp16: Search[Key] | None = None
    if settings.mode != "int8":
        margin = MARGIN_BESIDE_INT8 if quantised else MARGIN
        candidates = lowering.fp16_candidates(quantised)
        mixed = bool(quantised)
        fp16 = session.decide("fp16", candidates, lambda nodes: (quantised, nodes), margin, mixed=mixed)
    halves = fp16.lowered if fp16 else frozenset()

    plan = PrecisionPlan(settings.mode, settings.limits, tuple(session.decisions(int8, fp16)))
    files, engines = _graph_files(bundle, lowering, quantised, halves)
    measure = lowering.runners if settings.mode != "mixed" else lowering.emulators
    held_out = session.held_out.errors(measure(quantised, halves))
    real = session.held_out.errors(engines)
    every_int8 = () if settings.mode == "fp16" else lowering.int8_candidates()
    every_fp16 = () if settings.mode == "int8" else lowering.fp16_candidates(every_int8)
    all_lowered = session.held_out.errors(measure(every_int8, every_fp16))
    described = CalibratedPrecision(
        mode=settings.mode,
        tolerances=asdict(settings.limits),
        weight_bits=None if settings.mode == "fp16" else settings.weight_bits,
        nodes=plan.counts(),
        held_out=summary(held_out),
        onnxruntime_cpu=summary(real),
        every_node_lowered=summary(all_lowered),
        clips={
            "calibration": [clip.name for clip in clips.calibration],
            "held_out": [clip.name for clip in clips.held_out],
            "also": [clips.longest.name, clips.longest_held_out.name],
        },
        plan=FileReference(file=JSON),
        table=FileReference(file=TABLE),
        plot=FileReference(file=SVG),
        source=SourceEntry(name=bundle.name, version=bundle.manifest.version, sha256=bundle.manifest.sha256),
        tools={name: metadata.version(name) for name in ("voxface", "numpy", "onnx", "onnxruntime")},
    )
    made = _assemble(bundle, files, plan, described, quantised, halves)
    return Calibrated(made, plan, held_out, real, all_lowered)


class _Session:
    """Searches and what they have measured."""

    def __init__(
        self, lowering: Lowering, *, alone: Bench, deciding: Bench, held_out: Bench, limits: Tolerances, tell: Watch
    ) -> None:
        self._lowering, self._alone, self._deciding, self.held_out = lowering, alone, deciding, held_out
        self._limits, self._tell = limits, tell
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
        """Ranks candidates, searches, and verifies on the held-out clips, where the search goes on if that fails.

        Args:
            kind: "int8" or "fp16".
            candidates: nodes to lower.
            choice: the INT8 and FP16 nodes of a pipeline in which some of them are lowered.
            margin: share of the tolerance that may be used up on the clips that decide.
            mixed: whether INT8 and FP16 are to go together.
        """
        errors = self.errors.setdefault(kind, {})
        for done, node in enumerate(candidates):
            quantised, halves = ((node,), ()) if kind == "int8" else ((), (node,))
            errors[node] = worst(self._alone.errors(self._lowering.runners(quantised, halves)))
            self._tell(f"each node in {kind}", done + 1, len(candidates), "/".join(node))
        asked = 0

        def score(bench: Bench, what: str) -> Callable[[frozenset[Key]], float]:
            def ask(nodes: frozenset[Key]) -> float:
                nonlocal asked
                asked += 1
                chosen = choice(nodes)
                if mixed:  # the emulator rounds INT8 at other places than this CPU, which besides may saturate
                    errors = bench.errors(self._lowering.emulators(*chosen))
                    errors += bench.errors(self._lowering.engines(*chosen))
                else:
                    errors = bench.errors(self._lowering.runners(*chosen))
                value = self._share(worst(errors))
                self._tell(f"sets in {kind}", asked, asked + 1, f"{len(nodes)} nodes, {what}")
                return value

            return ask

        alone = {node: self._share(error) for node, error in errors.items()}
        # FP16 gains everywhere alike, INT8 where there is much to multiply.
        worth = {node: self._lowering.products(node) for node in candidates} if kind == "int8" else None
        found = search(alone, score(self._deciding, "deciding"), margin, worth)
        # INT8 is to leave something to FP16.
        limit = MARGIN_BESIDE_INT8 if mixed and kind == "int8" else 1.0
        # Where the held-out clips are content at once, which is the rule, they have decided nothing.
        lowered = {node: share for node, share in alone.items() if node in found.lowered}
        return search(lowered, score(self.held_out, "verifying"), limit, worth)

    def _share(self, error: TaskError) -> float:
        return error.share(self._limits)

    def decisions(self, int8: Search[Key] | None, fp16: Search[Key] | None) -> list[Decision]:
        """What became of each node, and why."""
        quantised = int8.lowered if int8 else frozenset()
        halves = fp16.lowered if fp16 else frozenset()
        between = self._lowering.between(quantised) if int8 else set()
        decisions = []
        for name, graph in self._lowering.graphs.items():
            ranges = self._lowering.ranges[name]
            for node in graph.nodes:
                key = (name, node.name)
                tried = [kind for kind in ("int8", "fp16") if key in self.errors.get(kind, {})]
                if key in quantised:
                    precision, shown = "int8", "int8"
                elif key in halves:
                    precision, shown = "fp16", "fp16"
                elif key in between:
                    precision, shown = "int8", ""
                else:
                    precision = "fp32" if any(map(graph.is_float, node.output)) else "integer"
                    shown = tried[-1] if tried else ""
                error = self.errors[shown][key] if shown else None
                share = None if error is None else self._share(error)
                if key in quantised or key in halves:
                    why = f"alone it uses {_percent(share)} of the tolerance"
                elif key in between:
                    why = "its data comes and goes as INT8"
                elif precision == "integer":
                    why = "computes no floating-point numbers"
                elif share is not None:
                    reasons = hazards(graph, node, ranges) if shown == "fp16" else []
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


def _graph_files(
    bundle: Bundle, lowering: Lowering, quantised: Collection[Key], halves: Collection[Key]
) -> tuple[dict[str, bytes], dict[str, Runner]]:
    """The ONNX files, checked, and ONNX Runtime's engines of them; what is not lowered stays as it was, byte for byte."""
    files: dict[str, bytes] = {}
    engines: dict[str, Runner] = {}
    for name in GRAPHS:
        if not any(at == name for at, _ in (*quantised, *halves)):
            continue
        data = lowering.graph(name, quantised, halves).to_bytes(fp16_storage=True)
        was, engine = open_engine(bundle.graph(name), name=name), open_engine(data, name=name)
        if (was.inputs, was.outputs) != (engine.inputs, engine.outputs):
            raise BundleError(
                f"{name}: inputs or outputs changed from {was.inputs}, {was.outputs}; this is a fault of voxface"
            )
        files[bundle.manifest.graphs[name].file] = data
        engines[name] = engine
    return files, engines


def _assemble(
    bundle: Bundle,
    graphs: dict[str, bytes],
    plan: PrecisionPlan,
    described: CalibratedPrecision,
    quantised: Collection[Key],
    halves: Collection[Key],
) -> Bundle:
    """The source bundle with what has changed. Its trained parts stay: the encoder gives the same to within tolerance."""
    manifest = bundle.manifest
    files: dict[str, bytes | None] = {**graphs}
    files |= {JSON: plan.to_json(), TABLE: plan.to_markdown().encode(), SVG: sensitivity_plot(plan).encode()}
    # Engines and the fused graph, made of graphs that have changed, would not be used and take as much room as they do.
    changed = {name for name, entry in manifest.graphs.items() if entry.file in graphs or (name == FUSED and graphs)}
    gone = {FUSED: None} if FUSED in changed else {}
    engines = manifest.engines
    if engines is not None:
        files |= {entry.file: None for entry in engines if entry.graph in changed}
        engines = tuple(entry for entry in engines if entry.graph not in changed)
    files |= {manifest.graphs[name].file: None for name in gone}
    used = [name for name, some in (("int8", quantised), ("float16", halves)) if some]
    before = manifest.precision or PrecisionEntry()
    storage = before.storage or "float32"
    precision = replace(
        before,
        storage="+".join(dict.fromkeys([*used, storage])) if graphs else storage,
        arithmetic="+".join([*used, "float32"]),
        calibrated=described,
    )
    card = manifest.model_card
    if card is not None and card.file in bundle.files:
        files[card.file] = bundle.files[card.file].rstrip() + b"\n\n" + _card(described).encode()
    made = bundle.replacing(files=files, graphs=gone, engines=engines, precision=precision)
    json.dumps(made.manifest.to_json(), allow_nan=False)  # before anything is written
    return made


def _card(described: CalibratedPrecision) -> str:
    """What the model card says of a calibration, for people."""
    held_out = described.held_out or {}
    worst_ = held_out["worst"]
    return "\n".join(
        [
            "## Precision",
            "",
            f"Calibrated to {described.mode} (`{TABLE}` says what each node runs in). The worst of "
            f"{held_out['clips']} held-out recordings, against FP32: embedding cosine "
            f"{worst_['cosine']:.6f}, picture {worst_['psnr_db']:.1f} dB, vertices at most {worst_['vertex_max_mm']:.2g} mm.",
            "",
        ]
    )
