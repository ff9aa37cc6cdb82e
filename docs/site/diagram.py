"""The diagram of the rooms as a picture. GitHub draws ```mermaid blocks itself; for the site a library would be fetched."""

import re
from functools import cache
from html import escape
from typing import Final

WIDE, HIGH, ACROSS, DOWN = 130, 34, 160, 76
"""Of a box, and from one box to the next, in pixels."""
_BLOCK: Final = re.compile(r"^```mermaid\ngraph TD\n(?P<arrows>(?: +\w+ --> \w+\n)+)```\n", re.M)


def with_diagrams(text: str) -> str:
    """The Markdown, with each block of arrows drawn."""
    return _BLOCK.sub(lambda block: drawn(re.findall(r"(\w+) --> (\w+)", block["arrows"])) + "\n", text)


def drawn(arrows: list[tuple[str, str]]) -> str:
    """An SVG of boxes and arrows, all of which lead down; in the colours of the text."""
    below: dict[str, list[str]] = {name: [] for arrow in arrows for name in arrow}
    for upper, lower in arrows:
        below[upper].append(lower)

    @cache
    def height(name: str) -> int:
        return 1 + max(map(height, below[name]), default=-1)

    rows: list[list[str]] = [[] for _ in range(1 + max(map(height, below)))]
    for name in below:
        rows[len(rows) - 1 - height(name)].append(name)
    broad = max(map(len, rows))
    places = {
        name: (ACROSS * (at + (broad - len(row)) / 2) + ACROSS / 2, DOWN * line + HIGH)
        for line, row in enumerate(rows)
        for at, name in enumerate(row)
    }
    parts = []
    for upper, lower in arrows:
        parts.append(f'<path d="{_way(*places[upper], *places[lower])}" marker-end="url(#tip)"/>')
    for name, (x, y) in places.items():
        box = f'<rect x="{x - WIDE / 2:g}" y="{y - HIGH / 2:g}" width="{WIDE}" height="{HIGH}" rx="6" class="room"/>'
        parts.append(f'{box}<text x="{x:g}" y="{y + 5:g}">{escape(name)}</text>')
    said = escape(", ".join(f"{upper} may import {lower}" for upper, lower in arrows))
    return (
        f'<svg class="rooms" role="img" aria-label="{said}" viewBox="0 0 {ACROSS * broad:g} {DOWN * len(rows):g}">'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>' + "".join(parts) + "</svg>\n"
    )


def _way(x: float, y: float, to_x: float, to_y: float) -> str:
    """From the lower edge of one box to the upper edge of another; past a row of boxes in a bow, beside them."""
    y, to_y = y + HIGH / 2, to_y - HIGH / 2 - 5
    if to_y - y < DOWN:
        return f"M{x:g} {y:g}L{to_x:g} {to_y:g}"
    beside = x - ACROSS * 0.7 if x == to_x else to_x
    return f"M{x:g} {y:g}C{beside:g} {y + DOWN / 2:g} {beside:g} {to_y - DOWN / 2:g} {to_x:g} {to_y:g}"
