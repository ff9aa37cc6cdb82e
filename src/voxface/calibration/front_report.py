"""The Pareto front as JSON, as a Markdown table and as a picture."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape

from voxface.calibration.forms import label
from voxface.calibration.task_error import TaskError, Tolerances, as_json
from voxface.calibration.timed_search import Found, Measured

JSON: Final = "pareto.json"
TABLE: Final = "pareto.md"
SVG: Final = "pareto.svg"
_WIDE, _HIGH, _LEFT, _TOP = 620, 320, 70, 52  # pixels
_LOWEST: Final = 1e-4  # of the tolerance: smaller errors are rounding, and are drawn there


@dataclass(frozen=True)
class FrontRow:
    """A candidate in the report.

    Attributes:
        measured: the candidate.
        share: the share of the tolerances that its error uses up on the clips that decide.
        held_out: its error on the held-out clips; None for candidates that are not on the front.
        chosen: whether it is the one in the bundle.
    """

    measured: Measured
    share: float
    held_out: TaskError | None = None
    chosen: bool = False

    @property
    def forms(self) -> str:
        """How many regions are in which form, those in FP32 as exported left out: "5 int8, 2 convolutions"."""
        counts = Counter(self.measured.update.choice.values())
        return ", ".join(f"{count} {form}" for form, count in sorted(counts.items())) or "as exported"

    def document(self) -> dict[str, Any]:
        """For JSON."""
        m = self.measured
        return {
            "provider": m.update.engine.provider,
            "threads": m.update.engine.threads,
            "forms": {f"{graph}/{node}": form for (graph, node), form in sorted(m.update.choice.items())},
            **m.time.to_json(),
            "share_of_tolerance": self.share if math.isfinite(self.share) else None,
            "deciding": as_json(m.error),
            "held_out": None if self.held_out is None else as_json(self.held_out),
            "on_the_front": self.held_out is not None,
            "chosen": self.chosen,
        }


@dataclass(frozen=True)
class FrontReport:
    """Every candidate that was measured as a whole update, and what was measured of the layers.

    Attributes:
        objective: "latency", "error" or "pareto".
        tolerances: the tolerances of which errors are shares.
        device: see `voxface.calibration.device.this_device`.
        rows: the candidates, the fastest first.
        found: what was measured of regions, and what engines refused.
        frames: length of the encoder's input that was timed.
    """

    objective: str
    tolerances: Tolerances
    device: Mapping[str, Any]
    rows: Sequence[FrontRow]
    found: Found
    frames: int

    @property
    def front(self) -> list[FrontRow]:
        """The candidates on the front, the fastest first."""
        return [row for row in self.rows if row.held_out is not None]

    @property
    def chosen(self) -> FrontRow:
        """The one in the bundle."""
        return next(row for row in self.rows if row.chosen)

    @property
    def exported(self) -> FrontRow:
        """FP32 as exported, on the engine that was named first."""
        return next(row for row in self.rows if not row.measured.update.choice)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        layers = [
            {
                "graph": graph,
                "layer": node,
                "engine": engine,
                "ms": dict(cost.ms),
                "border_ms": cost.border_ms,
                "alone": {form: as_json(error) for form, error in self.found.alone[graph, node].items()},
            }
            for engine, costs in self.found.costs.items()
            for (graph, node), cost in costs.items()
        ]
        return {
            "objective": self.objective,
            "tolerances": vars(self.tolerances),
            "device": dict(self.device),
            "frames": self.frames,
            "candidates": [row.document() for row in self.rows],
            "layers": layers,
            "refused": self.found.refused,
        }

    def to_json(self) -> bytes:
        """`document` as the bytes of a file."""
        return json.dumps(self.document(), indent=1, allow_nan=False).encode() + b"\n"

    def to_markdown(self) -> str:
        """The front, and the times of the layers, as Markdown tables."""
        lines = [
            f"# Time and error on {self.device['cpu']} ({self.device['instructions']})",
            "",
            f"One update: the three graphs one after another, {self.frames} frames. Errors: the worst held-out clip's.",
            "",
            "| | engine | layers | ms | of FP32 | 1 − cosine | picture dB | vertices mm | of the tolerance |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        first = self.exported.measured.time.ms
        for row in self.front:
            assert row.held_out is not None
            e, t = row.held_out, row.measured.time
            cells = [
                "chosen" if row.chosen else "",
                str(row.measured.update.engine),
                row.forms,
                f"{t.ms:.3g} ± {t.noise_ms:.1g}",
                f"{t.ms / first:.2f}",
                f"{1 - e.cosine:.1e}",
                f"{e.psnr_db:.1f}",
                f"{e.vertex_max_mm:.2g}",
                f"{e.share(self.tolerances):.2g}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", "## Layers alone", "", "| engine | layer | ms by form | chosen |", "|---|---|---|---|"]
        choice = self.chosen.measured.update.choice
        for engine, costs in self.found.costs.items():
            for key, cost in costs.items():
                times = ", ".join(f"{form} {ms:.3g}" for form, ms in cost.ms.items())
                lines.append(f"| {engine} | `{'/'.join(key)}` | {times} | {choice.get(key, 'fp32')} |")
        if self.found.refused:
            lines += ["", "## What the engine refuses", ""]
            lines += [f"* {name}: {reason}" for name, reason in sorted(self.found.refused.items())]
        return "\n".join(lines) + "\n"


def front_plot(report: FrontReport) -> str:
    """An SVG picture: milliseconds of an update to the right, the share of the tolerance upwards on a logarithmic scale."""
    slowest = max(row.measured.time.ms for row in report.rows) * 1.08
    shares = [row.share for row in report.rows if math.isfinite(row.share)]
    top = max(0.0, math.ceil(math.log10(max([1.0, *shares]))))
    low = math.log10(_LOWEST)

    def place(row: FrontRow) -> tuple[float, float]:
        share = row.share if math.isfinite(row.share) else 10**top
        power = max(low, math.log10(max(share, _LOWEST)))
        return _LEFT + row.measured.time.ms / slowest * _WIDE, _TOP + (top - power) / (top - low) * _HIGH

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 30}" height="{_TOP + _HIGH + 58}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="22" font-size="15">Time and error of an update: share of the tolerance against ms</text>',
        f'<text x="12" y="40">{escape(str(report.device["cpu"]))} ({escape(str(report.device["instructions"]))})</text>',
    ]
    for power in range(int(low), int(top) + 1):
        y = _TOP + (top - power) / (top - low) * _HIGH
        colour = "black" if power == 0 else "#dddddd"
        words = "tolerance" if power == 0 else f"≤ 10^{power}" if power == int(low) else f"10^{power}"
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDE}" y2="{y:.1f}" stroke="{colour}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    step = 10 ** math.floor(math.log10(slowest)) / (1 if slowest / 10 ** math.floor(math.log10(slowest)) > 4 else 2)
    for k in range(int(slowest / step) + 1):
        x = _LEFT + k * step / slowest * _WIDE
        parts.append(f'<text x="{x:.1f}" y="{_TOP + _HIGH + 16}" text-anchor="middle">{k * step:g}</text>')
    parts.append(f'<text x="{_LEFT + _WIDE / 2}" y="{_TOP + _HIGH + 34}" text-anchor="middle">ms an update</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, report.front))
    parts.append(f'<polyline points="{path}" fill="none" stroke="#2a7f62" stroke-width="2"/>')
    for row in report.rows:
        (x, y), on = place(row), row.held_out is not None
        colour = "#b3402e" if row.chosen else "#2a7f62" if on else "#bbbbbb"
        words = f"{row.measured.update.engine}: {label(row.measured.update.choice)}"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{5 if row.chosen else 4 if on else 3}" fill="{colour}">'
            f"<title>{escape(words)}</title></circle>"
        )
    x, y = place(report.exported)
    parts.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle">as exported</text>')
    for at, (colour, words) in enumerate((("#2a7f62", "front"), ("#b3402e", "chosen"), ("#bbbbbb", "dominated"))):
        x = _LEFT + at * 100
        parts.append(f'<circle cx="{x}" cy="{_TOP + _HIGH + 48}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 10}" y="{_TOP + _HIGH + 52}">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
