"""The table of ONNX Runtime beside OpenVINO."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.engines import NAME, SIDES, key_of
from benchmarks.record import RESULTS, load

KINDS: Final = {
    "encoder": "voice encoder, 8 s",
    "face": "generator of the default bundle",
    "face_full_size": "generator, full size",
    "mesh": "mesh network",
}
SHOWN: Final = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def engines() -> str:
    """Milliseconds of each network on each kind of processor, with one and two threads."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet; `python -m benchmarks.engines` does it."
    lines: list[str] = []
    for kind, machine in load(NAME)["measured"]["machines"].items():
        lines += [*_of_machine(kind, machine), ""]
    return "\n".join(lines[:-1])


def _of_machine(kind: str, machine: dict[str, Any]) -> list[str]:
    shown = [side for side in SIDES if any(key_of(side, 1) in found["rested"] for found in machine["graphs"].values())]
    heads = [f"{SHOWN[library]} {precision.upper()}" for library, precision in (side.split() for side in shown)]
    lines = [f"| {kind}; ms, median (fastest) | threads | {' | '.join(heads)} |", "|---|---|" + "---|" * len(shown)]
    for name, title in KINDS.items():
        for threads in (1, 2):
            cells = []
            for side in shown:
                times = machine["graphs"].get(name, {}).get("rested", {}).get(key_of(side, threads))
                cells.append("–" if times is None else f"{times['p50']:.2f} ({times['min']:.2f})")
            lines.append(f"| {title} | {threads} | {' | '.join(cells)} |")
    cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
    libraries = ", ".join(f"{name} {machine['libraries'][name]}" for name in ("onnxruntime", "openvino"))
    text = f"{cores} of {machine['cpu']}, {machine['date']}, {libraries}; {machine['rounds']} rounds, "
    text += "each run after a rest of 20 ms."
    if "warning" in machine:
        text += (
            f" Other programs had {machine['cores_taken_by_others']:.0%} of the cores: ratios hold, times are too long."
        )
    return [*lines, "", text]


TABLES: Final[dict[str, Callable[[], str]]] = {"engines": engines}
