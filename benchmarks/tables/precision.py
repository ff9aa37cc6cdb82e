"""Tables of how much faster INT8 is."""

from collections.abc import Callable
from typing import Final

from benchmarks.record import load


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def int8() -> str:
    """INT8 against FP32, side by side."""
    document = load("int8")
    measured, machine = document["measured"], document["machine"]
    kinds = {
        "encoder_800_frames": "voice encoder, 8 s",
        "generator_default_bundle": "generator of the default bundle",
        "generator_full_size": "generator, full size",
    }
    lines = [
        "| ms, fastest run | FP32 | FP32 as convolutions | INT8 | INT8 is faster than FP32 by | than the faster FP32 by | "
        "INT8, GOP/s | MB, FP32 → INT8 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, name in kinds.items():
        row = measured[key]
        for threads in (1, 2):
            times = row[f"{threads}_threads"]
            gains = times["speed_up_of_int8_over"]
            convolutions = times.get("fp32_as_convolutions")
            cells = [
                f"{name}, {_threads(threads)}",
                f"{times['fp32']['min_ms']:.2f}",
                format(convolutions["min_ms"], ".2f") if convolutions else "",
                f"{times['int8']['min_ms']:.2f}",
                f"{gains['fp32']:.2f} ×",
                f"{gains['fastest_fp32']:.2f} ×" if convolutions else "",
                f"{times['gigaoperations_per_second']['int8']:.0f}",
                f"{row['megabytes']['fp32']:.1f} → {row['megabytes']['int8']:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{machine['cores']} cores of {machine['cpu']} ({measured['int8_instructions']}), load average "
            f"{measured['load_average_before']} by other programs; the graphs take turns, {measured['rounds']} times.",
        ]
    )


def int8_plain_layers() -> str:
    """Upper limit of what INT8 gains: plain layers, measured in the same run."""
    kinds = {"convolution_1d": "1-D, kernel 3, 384 channels, 200 long", "convolution_2d": "2×2, 256 channels, 16×16"}
    lines = ["| GOP/s, four equal convolutions | FP32 | INT8 | INT8 is faster by |", "|---|---|---|---|"]
    plain = load("int8")["measured"]["plain_layers"]
    for key, name in kinds.items():
        for threads in (1, 2):
            times = plain[key][f"{threads}_threads"]
            speed = times["gigaoperations_per_second"]
            lines.append(
                f"| {name}, {_threads(threads)} | {speed['fp32']:.0f} | {speed['int8']:.0f} | "
                f"{times['speed_up_of_int8_over']['fp32']:.2f} × |"
            )
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "int8": int8,
    "int8-plain-layers": int8_plain_layers,
}
