"""The precision plan: what each node runs in, why, and how much it costs by itself."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from voxface.calibration.task_error import LENGTH, TaskError, Tolerances, as_json

JSON = "precision_plan.json"
TABLE = "precision_plan.md"


@dataclass(frozen=True)
class Decision:
    """One node.

    Attributes:
        graph, node, op: which one.
        precision: "int8", "fp16", "fp32", or "integer" where it computes no floating-point numbers.
        why: one line.
        alone: task error, worst of a few clips, of lowering this node only; None where that was not tried.
        share: how much of the tolerances `alone` uses up; infinity where it overflowed.
        most: largest magnitude of its first output on the calibration clips.
    """

    graph: str
    node: str
    op: str
    precision: str
    why: str
    alone: TaskError | None = None
    share: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class PrecisionPlan:
    """All nodes of a bundle.

    Attributes:
        mode: "fp16", "int8" or "mixed".
        tolerances: what was asked for.
        decisions: in the order of the graphs and their nodes.
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
        """The plan for JSON; an error that is not a number is None."""
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
            }
            for d in self.decisions
        ]
        return {"mode": self.mode, "tolerances": asdict(self.tolerances), "counts": self.counts(), "nodes": nodes}

    def to_json(self) -> bytes:
        """`document` as a file."""
        return json.dumps(self.document(), indent=1, allow_nan=False).encode() + b"\n"

    def to_markdown(self) -> str:
        """The plan as a table."""
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
