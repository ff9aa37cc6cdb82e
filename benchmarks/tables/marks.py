"""Tables of docs/provenance.md and docs/animation.md: what marks cost, and the morph targets."""

from collections.abc import Callable
from typing import Final

from benchmarks.record import load

# Morph target -> the mode of the embedded model that it is cut from.
OF_MODE: Final = {
    "jawOpen": "jaw-open",
    "jawForward": "jaw-forward",
    "mouthPucker": "lips-pucker",
    "mouthFunnel": "lips-funnel",
    "mouthSmile": "smile",
    "mouthFrown": "frown, the mouth alone",
    "browInnerUp": "brows-up, the inner part, without the lids",
    "browOuterUp": "brows-up, the outer parts, without the lids",
    "browDown": "brows-down",
    "eyeBlink": "lids-closed",
    "eyeWide": "lids-wide",
}


def marks() -> str:
    """Bytes of a mark in each format, and the time of a picture."""
    measured = load("marks")["measured"]
    lines = ["| | bytes of the mark | bytes of the file |", "|---|---|---|"]
    names = {"PNG": "PNG, the face", "JSON": "JSON, a live event with a face"}
    lines += [
        f"| {names.get(kind, kind)} | {row['mark']:,} | {row['file']:,} |" for kind, row in measured["bytes"].items()
    ]
    return "\n".join(lines)


def morph_targets() -> str:
    """The morph targets, how far they move, and what they cost."""
    measured = load("marks")["measured"]["morph_targets"]
    largest: dict[str, float] = {}
    for name, millimetres in measured["largest_mm"].items():
        base = name.removesuffix("Left").removesuffix("Right")
        largest[base] = max(millimetres, largest.get(base, 0.0))
    lines = ["| morph target | of the mode | largest movement |", "|---|---|---|"]
    for base, millimetres in largest.items():
        both = f"`{base}Left`, `{base}Right`" if f"{base}Left" in measured["largest_mm"] else f"`{base}`"
        lines.append(f"| {both} | {OF_MODE[base]} | {millimetres:.1f} mm |")
    more, without = measured["bytes"] / 1e6, measured["bytes_without"] / 1e6
    count = len(measured["largest_mm"])
    return "\n".join([*lines, "", f"{count} shapes. `mesh.glb` has {more:.1f} MB with them, {without:.1f} MB without."])


TABLES: Final[dict[str, Callable[[], str]]] = {"marks": marks, "morph-targets": morph_targets}
