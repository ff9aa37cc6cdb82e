"""Tables of preparing data and of the size that trainings bear."""

from collections.abc import Callable
from typing import Final

from benchmarks.record import load


def paper_scale() -> str:
    """Memory of preparation and trainings while the data grow."""
    measured = load("paper_scale")["measured"]
    commands = measured["commands"]
    sizes = list(next(iter(commands.values())))
    largest = sizes[-1]
    lines = [
        "| memory, MB | " + " | ".join(f"{int(size):,} utterances" for size in sizes) + " | waiting for data |",
        "|---|" + "---|" * (len(sizes) + 1),
    ]
    for name, row in commands.items():
        waited = row.get(largest, {}).get("waiting_percent")
        cells = [f"{row[size]['mb']:.0f}" if size in row else "–" for size in sizes]
        cells.append("–" if waited is None else f"{waited:.1f} %")
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    most = max(row[size]["mb"] for row in commands.values() for size in sizes if size in row)
    lines += [
        "",
        f"At most {most / 1000:.1f} GB. Waiting is the share of the time of {measured['steps']} steps (of `mesh default`: 100) "
        "at the largest size that goes into making their batches; the networks are narrow, so a real training waits for less. "
        "That of the mesh is as small as it ever is: a step takes some milliseconds.",
    ]
    return "\n".join(lines)


def preparation() -> str:
    """Throughput of `data prepare` beside a plain script."""
    document = load("preparation")
    measured, machine = document["measured"]["a_second"], document["machine"]
    rows = (
        ("speech, seconds of sound", "speech", "speech, plain", "the papers' way, frame by frame"),
        ("photographs", "photographs", "photographs, plain", "the same networks, one crop a face"),
        ("fits of 68 landmarks", "fits", "fits, one a call", "one call a face"),
    )
    lines = ["| a second, on one core | `data prepare` | plain script | |", "|---|---|---|---|"]
    for words, ours, plain, what in rows:
        lines.append(f"| {words} | {measured[ours]:,.0f} | {measured[plain]:,.0f} | {what} |")
    for words, ours in (("photographs", "photographs, two cores"), ("fits of 68 landmarks", "fits, two cores")):
        lines.append(f"| {words}, on two cores | {measured[ours]:,.0f} | | |")
    cores = machine["cores"]
    lines += ["", f"{machine['cpu']}, one of {cores} cores; `data prepare` works on all of them."]
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {"paper-scale": paper_scale, "preparation": preparation}
"""Name in the pages -> table."""
