"""Tables of the Pareto front of time and error, a machine after another."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import RESULTS, load

BUNDLES: Final = {"default": "default bundle", "full_size": "full size"}
WAYS: Final = {
    "fp32": "FP32 as exported",
    "fp16": "every node FP16",
    "int8": "every node INT8",
    "onnxruntime_static": "ONNX Runtime's static quantiser",
}


def front() -> str:
    """Every point of the front."""
    lines = [
        "| bundle | engine | layers not as exported | ms | 1 − cosine | picture dB | vertices mm | of the tolerance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for machine, measured in _machines().items():
        lines.append(f"| **{machine}** | | | | | | | |")
        for key, bundle in BUNDLES.items():
            for name, point in measured["bundles"][key]["points"].items():
                if name.startswith("front"):
                    forms = f"{point['forms']}{', chosen' if point['chosen'] else ''}"
                    lines.append(f"| {bundle} | {point['engine']} | {forms} | {_numbers(point)} |")
    return "\n".join(lines)


def against() -> str:
    """The other ways, and how much faster the front is at no more error."""
    lines = [
        "| bundle | way, engine | ms | 1 − cosine | picture dB | vertices mm | of the tolerance | front is faster by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for machine, measured in _machines().items():
        lines.append(f"| **{machine}** | | | | | | | |")
        for key, bundle in BUNDLES.items():
            found = measured["bundles"][key]
            for name, other in found["against"].items():
                way, _, engine = name.partition(", ")
                faster = f"{other['faster_by']:.2f} ×{'' if other['dominated'] else ' (not dominated)'}"
                lines.append(f"| {bundle} | {WAYS[way]}, {engine} | {_numbers(found['points'][name])} | {faster} |")
    said = "All take turns in one process; worst held-out clip; the fastest point of the front that is no less exact."
    return "\n".join([*lines, "", said])


def _machines() -> dict[str, dict[str, Any]]:
    if not (RESULTS / "pareto.json").exists():  # no machine was measured yet
        return {}
    found: dict[str, dict[str, Any]] = load("pareto")["measured"]["machines"]
    return found


def _numbers(point: dict[str, Any]) -> str:
    error, share = point["error"], point["share_of_tolerance"]
    cosine, decibels, millimetres = (error[name] for name in ("cosine", "psnr_db", "vertex_max_mm"))
    cells = [
        f"{point['ms']:.2f}",
        "–" if cosine is None else f"{max(0.0, 1 - cosine):.1e}",
        "–" if decibels is None else f"{decibels:.0f}",
        "–" if millimetres is None else f"{millimetres:.2g}",
        "overflows" if share is None else f"{share:.2g}",
    ]
    return " | ".join(cells)


def second_cpu() -> str:
    """What two kinds of processors choose, and how long both take for both."""
    if not (RESULTS / "second_cpu.json").exists():
        return "Not measured yet; `python -m benchmarks.second_cpu` does it."
    kinds: dict[str, dict[str, Any]] = load("second_cpu")["measured"]["kinds"]
    names = {"whole": "AVX2 (this processor)", "sse41": "SSE4.1 (kept to it)"}
    lines = [
        "| OpenVINO, one thread; ms, median | in FP32 | as chosen for AVX2 | as chosen for SSE4.1 |",
        "|---|---|---|---|",
    ]
    for kind, found in kinds.items():
        ms = found["ms"]
        lines.append(f"| {names[kind]} | {ms['default']:.2f} | {ms['whole']:.2f} | {ms['sse41']:.2f} |")
    said = "; ".join(f"{names[kind]}: {found['forms']}" for kind, found in kinds.items())
    return "\n".join([*lines, "", f"Chosen, layers not as exported: {said}."])


TABLES: Final[dict[str, Callable[[], str]]] = {
    "pareto-front": front,
    "pareto-against": against,
    "second-cpu": second_cpu,
}
