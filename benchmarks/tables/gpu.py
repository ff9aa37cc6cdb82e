"""The tables of an update on a GPU."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import RESULTS, load

NAME: Final = "gpu"


def gpu() -> str:
    """Every side at batch 1 and 64, with its agreement; the live streams; and what was left out."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet; `python -m benchmarks.gpu` does it."
    document = load(NAME)
    measured = document["measured"]
    batches = {key: found for key, found in measured.items() if key.startswith("batch_")}
    lines: list[str] = []
    for key, found in batches.items():
        lines += [*_of_batch(int(key.removeprefix("batch_")), found), ""]
    if "streams" in measured:
        lines += [*_of_streams(measured["streams"]), ""]
    where = f"{measured['gpu']['name']}, {document['date']}, `{document['command']}`; networks at full size, random weights."
    for step, why in measured["left_out"].items():
        where += f" Left out: {step} ({why})."
    return "\n".join([*lines, where])


def _of_batch(batch: int, found: dict[str, Any]) -> list[str]:
    first = found["compared_with"]
    lines = [
        f"| batch {batch}: ms, median (p99) | voices/s | times as fast as {_shown(first)} | GPU alone, ms | "
        "cosine distance | grey levels | mm |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, times in found["latency_ms"].items():
        apart = found["difference"].get(name)
        cells = [
            f"{_shown(name)}: {times['p50']:.3f} ({times['p99']:.3f})",
            f"{found['voices_per_s'][name]:,.0f}",
            f"{found['times_faster'][name]['p50']:.1f}" if name != first else "1",
            f"{found['kernels_ms'][name]:.3f}" if name in found["kernels_ms"] else "–",
            "–" if apart is None else f"{apart['embedding_cosine_distance']:.1e}",
            "–" if apart is None else f"{apart['image_levels_largest']:.2f}",
            "–" if apart is None else f"{apart['mesh_mm_largest']:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _of_streams(found: dict[str, dict[str, Any]]) -> list[str]:
    packs = list(next(iter(found.values())))
    lines = [
        f"| live streams of one thread, 10 updates/s (ms per 0.1 s of sound) | {' | '.join(packs)} |",
        "|---|" + "---|" * len(packs),
    ]
    for name, row in found.items():
        cells = [f"{row[pack]['streams_of_one_thread']:.0f} ({row[pack]['ms_per_0.1_s']:.2f})" for pack in packs]
        lines.append(f"| {_shown(name)} | {' | '.join(cells)} |")
    return lines


def _shown(name: str) -> str:
    return name.replace("_", " ").replace("fp", "FP").replace("int8", "INT8")


TABLES: Final[dict[str, Callable[[], str]]] = {NAME: gpu}
