"""The precision plan: what each node runs in, why, and the task error of lowering it alone; as JSON, table and picture."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np
from onnx import NodeProto

from voxface.calibration.int8_ranges import TensorRange
from voxface.calibration.task_error import LENGTH, TaskError, Tolerances, as_json
from voxface.onnx_graph.fp16_emulation import ACCUMULATED
from voxface.onnx_graph.graph import Graph

LARGEST: Final = 65504.0  # largest FP16 number
NORMAL: Final = 2.0**-14  # smallest normal FP16 number; smaller ones are subnormal and have fewer digits
SMALLEST: Final = 2.0**-24  # smallest FP16 number above 0
JSON: Final = "precision_plan.json"
TABLE: Final = "precision_plan.md"
SVG: Final = "sensitivity.svg"
_COLOURS: Final = {"int8": "#2a7f62", "fp16": "#2f6fb0", "fp32": "#b3402e", "integer": "#999999"}
_LEFT, _WIDE, _ROW, _TOP = 260, 560, 16, 64  # pixels of the picture
_LOW, _HIGH = -6.0, 2.0  # powers of ten of the tolerance


@dataclass(frozen=True)
class Decision:
    """The precision of one node.

    Attributes:
        graph: name of the graph.
        node: name of the node.
        op: its ONNX operator.
        precision: "int8", "fp16", "fp32", or "integer" for a node that computes no floating-point numbers.
        why: the reason, one line.
        alone: task error of lowering this node only, the worst of a few clips; None if that was not tried.
        share: the share of the tolerances that `alone` uses up; infinity if it overflowed.
        most: largest magnitude of the node's first output on the calibration clips.
        ms: form -> milliseconds of the node with what is fused into it, alone; None if it was not timed.
    """

    graph: str
    node: str
    op: str
    precision: str
    why: str
    alone: TaskError | None = None
    share: float | None = None
    most: float | None = None
    ms: Mapping[str, float] | None = None


@dataclass(frozen=True)
class PrecisionPlan:
    """The precision of every node of a bundle.

    Attributes:
        mode: "fp16", "int8", "mixed", or "timed" for a plan that measured time decided too.
        tolerances: the tolerances that were asked for.
        decisions: one for each node, in the order of the graphs and their nodes.
    """

    mode: str
    tolerances: Tolerances
    decisions: tuple[Decision, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Graph -> precision -> number of nodes."""
        counted: dict[str, Counter[str]] = {}
        for decision in self.decisions:
            counted.setdefault(decision.graph, Counter())[decision.precision] += 1
        return {graph: dict(sorted(counter.items())) for graph, counter in counted.items()}

    def document(self) -> dict[str, Any]:
        """The plan for JSON; None in place of an error that is not a number."""
        nodes: list[dict[str, Any]] = [
            {
                "graph": d.graph,
                "node": d.node,
                "op": d.op,
                "precision": d.precision,
                "why": d.why,
                "alone": None if d.alone is None else as_json(d.alone),
                "share_of_tolerance": d.share if d.share is not None and d.share < float("inf") else None,
                "largest_output": d.most,
                **({} if d.ms is None else {"ms": dict(d.ms)}),
            }
            for d in self.decisions
        ]
        return {"mode": self.mode, "tolerances": asdict(self.tolerances), "counts": self.counts(), "nodes": nodes}

    def to_json(self) -> bytes:
        """`document` as the bytes of a JSON file."""
        return json.dumps(self.document(), indent=1, allow_nan=False).encode() + b"\n"

    def to_markdown(self) -> str:
        """The plan as a Markdown table."""
        lines = [
            f"# Precision plan ({self.mode})",
            "",
            f"Tolerances of the worst clip: embedding cosine at least {self.tolerances.cosine}, picture at least "
            f"{self.tolerances.psnr_db:g} dB, vertices at most {self.tolerances.vertex_mm:g} mm, length of the "
            f"embedding off by at most {LENGTH:g}. The errors are those of lowering one node alone.",
            "",
            "| graph | node | operator | precision | 1 − cosine | length | picture dB | vertices mm | largest output | why |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for d in self.decisions:
            cells = [""] * 4
            if d.alone is not None:
                cells = [
                    f"{1 - d.alone.cosine:.1e}",
                    f"{d.alone.length:.1e}",
                    f"{d.alone.psnr_db:.1f}",
                    f"{d.alone.vertex_max_mm:.2g}",
                ]
            most = "" if d.most is None else f"{d.most:.3g}"
            row = [d.graph, f"`{d.node}`", d.op, d.precision, *cells, most, d.why.replace("|", "/")]
            lines.append("| " + " | ".join(row) + " |")
        return "\n".join(lines) + "\n"


def fp16_hazards(graph: Graph, node: NodeProto, ranges: Mapping[str, TensorRange]) -> list[str]:
    """Reasons to keep a node out of FP16; empty if nothing stands out. Measured errors decide, these reasons explain."""
    found = []
    for name in node.input:
        weights = graph.constants.get(name)
        if weights is None or weights.dtype != np.float32 or not weights.size:
            continue
        sizes = np.abs(weights[weights != 0])
        if not sizes.size:
            continue
        if sizes.max() > LARGEST:
            found.append(f"{name} reaches {sizes.max():.3g}, beyond 65504")
        small = float((sizes < NORMAL).mean())
        if small >= 0.1:
            lost = float((sizes <= SMALLEST / 2).mean())
            found.append(
                f"{small:.0%} of {name} is subnormal (below 6.1e-5)" + (f", {lost:.0%} vanishes" if lost else "")
            )
    if node.op_type == "BatchNormalization" and float(np.min(graph.constants.get(node.input[4], 1.0))) < NORMAL:
        found.append("its smallest variance is subnormal")
    for what, names in (("input", node.input), ("output", node.output)):
        most = max((ranges[name].most for name in names if name in ranges), default=0.0)
        if most > LARGEST:
            found.append(f"{what} reaches {most:.3g}, beyond 65504")
    if node.op_type in ACCUMULATED and not found and node.input[0] in ranges:
        found.append(f"adds up many numbers, as large as {ranges[node.input[0]].most:.3g}")
    return found


def sensitivity_plot(plan: PrecisionPlan) -> str:
    """An SVG picture of how sensitive each node is.

    Each node that was tried is a bar: the share of the tolerances that it uses up alone, on a logarithmic scale. The bar of a
    node that overflowed goes to the edge. The black line is the tolerance.
    """
    tried = [d for d in plan.decisions if d.share is not None]
    what = "INT8 or FP16" if plan.mode in ("mixed", "timed") else plan.mode.upper()
    bottom = _TOP + _ROW * max(1, len(tried))
    width, height = _LEFT + _WIDE + 40, bottom + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-size="15">Each node alone in {what}: share of the tolerance</text>',
    ]
    x = 12
    for name in sorted({d.precision for d in tried}):
        parts.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{_COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 14}" y="43">runs in {name}</text>')
        x += 110
    for power in range(int(_LOW), int(_HIGH) + 1):
        at = _place(10.0**power)
        line = 'stroke="black"' if power == 0 else 'stroke="#dddddd"'
        parts.append(f'<line x1="{at:.1f}" y1="{_TOP - 4}" x2="{at:.1f}" y2="{bottom}" {line}/>')
        label = "tolerance" if power == 0 else f"10^{power}"
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
    for row, d in enumerate(tried):
        assert d.share is not None
        y = _TOP + row * _ROW
        end = _place(d.share)
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 11}" text-anchor="end">{escape(_short(f"{d.graph}/{d.node}"))}</text>'
        )
        parts.append(
            f'<rect x="{_LEFT}" y="{y + 2}" width="{max(1.0, end - _LEFT):.1f}" height="{_ROW - 4}" '
            f'fill="{_COLOURS[d.precision]}"><title>{escape(d.why)}</title></rect>'
        )
        if not math.isfinite(d.share):
            parts.append(f'<text x="{end + 3:.1f}" y="{y + 11}">∞</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _place(share: float) -> float:
    power = _HIGH if not math.isfinite(share) else math.log10(max(share, 10.0**_LOW))
    return _LEFT + _WIDE * (min(_HIGH, power) - _LOW) / (_HIGH - _LOW)


def _short(name: str) -> str:
    return name if len(name) <= 42 else f"{name[:20]}…{name[-21:]}"
