"""What a load generator measured, as a table of text and as a plot."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

LINES: Final = (("p50", "#0072b2"), ("p99", "#d55e00"))
REFUSED: Final = "#999999"
LEFT, TOP, WIDE, HIGH = 64, 40, 520, 240


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Streams, how many were let in, lateness in milliseconds, and what went wrong."""
    names = ("streams", "accepted", "refused", "updates", "p50 ms", "p99 ms", "max ms", "skipped", "broken")
    lines = [" ".join(f"{name:>8}" for name in names)]
    for row in rows:
        late, events = row["late_ms"], row["events"]
        counts = (row["streams"], row["accepted"], row["refused"], row["updates"])
        times = (late["p50"], late["p99"], late["max"])
        wrong = (events.get("skipped", 0), sum(row["broken"].values()))
        shown = [*map(str, counts), *(f"{time:.1f}" for time in times), *map(str, wrong)]
        lines.append(" ".join(f"{text:>8}" for text in shown))
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, Any]], title: str) -> str:
    """An SVG picture: lateness (p50 and p99, milliseconds) and refused streams against the number of streams."""
    rows = sorted(rows, key=lambda row: int(row["streams"]))
    most_x = max(row["streams"] for row in rows)
    top_ms = _round_up(max([1.0, *(row["late_ms"]["p99"] for row in rows)]))
    height = TOP + HIGH + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE + 140}" height="{height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{LEFT + WIDE + 140}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-size="15">{escape(title)}</text>',
    ]
    for step in range(5):
        y = TOP + HIGH - step * HIGH / 4
        parts.append(f'<line x1="{LEFT}" y1="{y:g}" x2="{LEFT + WIDE}" y2="{y:g}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{top_ms * step / 4:g}</text>')
    for row in rows:
        x = LEFT + row["streams"] / most_x * WIDE
        high = HIGH * row["refused"] / most_x
        parts.append(f'<text x="{x:.1f}" y="{TOP + HIGH + 16}" text-anchor="middle">{row["streams"]}</text>')
        if high:
            box = f'x="{x - 6:.1f}" y="{TOP + HIGH - high:.1f}" width="12" height="{high:.1f}"'
            parts.append(f'<rect {box} fill="{REFUSED}" opacity="0.5"/>')
    along = "streams (bars: how many of them were refused)"
    parts.append(f'<text x="{LEFT + WIDE / 2:g}" y="{TOP + HIGH + 38}" text-anchor="middle">{along}</text>')
    for place, (name, colour) in enumerate(LINES):
        points = [
            (LEFT + row["streams"] / most_x * WIDE, TOP + HIGH - row["late_ms"][name] / top_ms * HIGH) for row in rows
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(
            f'<text x="{LEFT + WIDE + 14}" y="{TOP + 14 + 18 * place}" fill="{colour}">late, {name}, ms</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _round_up(value: float) -> float:
    """The next of 1, 2, 4 times a power of ten, so that quarters are round."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 10) if factor * power >= value)
