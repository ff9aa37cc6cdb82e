"""How sensitive each node is, as a picture (SVG)."""

import math
from typing import Final
from xml.sax.saxutils import escape

from voxface.calibration.precision_plan import PrecisionPlan

SVG: Final = "sensitivity.svg"
_COLOURS: Final = {"int8": "#2a7f62", "fp16": "#2f6fb0", "fp32": "#b3402e", "integer": "#999999"}
_LEFT, _WIDE, _ROW, _TOP = 260, 560, 16, 64  # pixels
_LOW, _HIGH = -6.0, 2.0  # powers of ten of the tolerance


def sensitivity_plot(plan: PrecisionPlan) -> str:
    """One bar a node that was tried: the share of the tolerances it uses up alone, on a logarithmic scale; what overflowed
    goes to the edge. The line is the tolerance."""
    tried = [d for d in plan.decisions if d.share is not None]
    bottom = _TOP + _ROW * max(1, len(tried))
    width, height = _LEFT + _WIDE + 40, bottom + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-size="15">Each node alone in {"INT8 or FP16" if plan.mode == "mixed" else plan.mode.upper()}'
        ": share of the tolerance</text>",
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
