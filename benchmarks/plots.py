"""The plots of docs/performance.md, as SVG, from the results."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.record import load
from benchmarks.tables.performance import SIDES

OURS, OTHERS = ("#2a7f62", "#57b894", "#1d5946", "#8fd6b8"), ("#b3402e", "#d98b57", "#8a8f98")
STAGES: Final = {
    "features": "#2f6fb0",
    "encoder": "#2a7f62",
    "face": "#d98b57",
    "mesh": "#8a62b3",
    "rest": "#8a8f98",
}
STREAMS: Final = {
    "fp32, incremental, one by one": "FP32, one by one",
    "int8, incremental, one by one": "INT8, one by one",
    "int8, incremental, packed": "INT8, packed",
    "int8, incremental, packed, no pictures, window of 10 s": "INT8, packed, no pictures, 10 s",
}
_LEFT, _WIDE, _ROW, _TOP = 290, 470, 26, 76  # pixels


def update() -> str:
    """One update at full size by system, one thread: stages stacked, the machine's limit marked."""
    measured = load("update")["measured"]["full_size"]["1_threads"]["sides"]
    longest = max(sum(row["stages_p50_ms"].values()) for row in measured.values()) * 1.08
    height = _TOP + _ROW * len(measured) + 40
    parts = _page(height, "One update, full-size networks, 8 s of voice: ms, median, one thread")
    x = 12.0
    for name, colour in STAGES.items():
        parts.append(f'<rect x="{x}" y="38" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="47">{name}</text>')
        x += 84
    parts.append(f'<line x1="{x}" y1="36" x2="{x}" y2="50" stroke="black" stroke-width="2"/>')
    parts.append(f'<text x="{x + 8}" y="47">limit of this machine</text>')
    for row, (key, found) in enumerate(measured.items()):
        y, at = _TOP + row * _ROW, float(_LEFT)
        stages = dict(found["stages_p50_ms"])
        stages["rest"] = stages.get("rest", 0.0) + stages.pop("vad", 0.0)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(SIDES[key])}</text>')
        for name, colour in STAGES.items():
            wide = stages[name] / longest * _WIDE
            parts.append(f'<rect x="{at:.1f}" y="{y}" width="{wide:.1f}" height="{_ROW - 6}" fill="{colour}"/>')
            at += wide
        parts.append(f'<text x="{at + 5:.1f}" y="{y + 14}">{found["total_ms"]["p50"]:.1f}</text>')
        limit = _LEFT + found["limit_ms"] / longest * _WIDE
        parts.append(
            f'<line x1="{limit:.1f}" y1="{y - 2}" x2="{limit:.1f}" y2="{y + _ROW - 4}" stroke="black" stroke-width="2"/>'
        )
    return _end(parts)


def growth() -> str:
    """The cost of an update against the window."""
    measured = load("update")["measured"]["growth"]
    lines = {SIDES[name]: list(zip(row["seconds"], row["p50_ms"], strict=True)) for name, row in measured.items()}
    return _curves("One update against the window: ms, median, one thread, full size", "seconds of voice", lines)


def streams() -> str:
    """Lateness of streams against their number, on the kind of processor that was measured last."""
    kind, found = max(load("streams")["measured"]["machines"].items(), key=lambda item: str(item[1]["date"]))
    lines = {
        title: [(run["streams"], run["ms_from_due"]["p99"]) for run in found["ways"][name]["runs"]]
        for name, title in STREAMS.items()
        if name in found["ways"]
    }
    return _curves(f"Live streams in mode incremental on one core ({kind}): ms from due to done, p99", "streams", lines)


PLOTS: Final[dict[str, Callable[[], str]]] = {
    "performance-update.svg": update,
    "performance-growth.svg": growth,
    "performance-streams.svg": streams,
}


def _curves(title: str, along: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    left, wide, top, high = 64, 470, 52, 240
    height = top + high + 54
    most_x = max(x for line in lines.values() for x, _ in line)
    step_y = _round_step(max(y for line in lines.values() for _, y in line) / 4)
    most_y = 4 * step_y
    parts = _page(height, title)
    for step in range(5):
        y = top + high - step * high / 4
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + wide}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{step * step_y:g}</text>')
    last = -math.inf
    for x in sorted({x for line in lines.values() for x, _ in line}):
        place = left + x / most_x * wide
        if place - last < 24:  # labels would touch
            continue
        last = place
        parts.append(f'<text x="{place:.1f}" y="{top + high + 16}" text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{left + wide / 2}" y="{top + high + 36}" text-anchor="middle">{escape(along)}</text>')
    ours, others = iter(OURS), iter(OTHERS)
    for row, (name, line) in enumerate(lines.items()):
        colour = next(others if "papers" in name else ours)
        points = [(left + x / most_x * wide, top + high - y / most_y * high) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<rect x="{left + wide + 16}" y="{top + row * 20 + 2}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{left + wide + 31}" y="{top + row * 20 + 11}">{escape(name)}</text>')
    return _end(parts)


def _round_step(least: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least)


def _page(height: float, title: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{height:.0f}" font-family="sans-serif" font-size="12">',
        f'<rect width="820" height="{height:.0f}" fill="white"/>',
        f'<text x="12" y="24" font-size="15">{escape(title)}</text>',
    ]


def _end(parts: list[str]) -> str:
    return "\n".join([*parts, "</svg>"]) + "\n"
