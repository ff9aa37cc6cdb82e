"""What it costs that a live session is worked on by a replica of a Ray cluster, and not in the process of the server.

    python -m benchmarks.live_replicas [--streams N] [--seconds S] [--speech DIR]

Two servers in turn, a round of each after the other: `voxface serve`, and `voxface serve --ray --live-replicas 1`, which has
one replica on this machine; both get the same real speech, two updates a second. Lateness counts from when an update's last
sample would have been spoken, at the client. The time of the processors is that of the server and all that it has started.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.interleave import Neighbours
from benchmarks.options import parser
from benchmarks.record import record
from benchmarks.serving import OPEN, SPEECH, UPDATES, load_of, server
from voxface.serve.load_generator import read_speech

SIDES: Final = {
    "in the server": (),
    "on a replica": ("--ray", "--replicas", "1", "--live-replicas", "1"),
}
ROUNDS: Final = 3


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--streams", type=int, default=8, help="voices at once (%(default)s)")
    options.add_argument("--seconds", type=float, default=30.0, help="of each round (%(default)g)")
    options.add_argument("--speech", type=Path, default=SPEECH, help="recordings (the examples)")
    given = options.parse_args()
    speech = read_speech([given.speech])
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    with Neighbours() as neighbours:
        for _ in range(ROUNDS):
            for name, words in SIDES.items():
                with server(*OPEN, *words) as (url, process):
                    before, began = _busy_s(process.pid), time.monotonic()
                    row = load_of(url, speech, given.streams, given.seconds)
                    row["cores"] = round((_busy_s(process.pid) - before) / (time.monotonic() - began), 3)
                found[name].append(row)
    record(
        "live_replicas",
        "python -m benchmarks.live_replicas" + "".join(f" {word}" for word in sys.argv[1:]),
        {
            "updates_per_s": UPDATES,
            "streams": given.streams,
            "seconds": given.seconds,
            **neighbours.to_json(),
            "sides": {name: _together(rows) for name, rows in found.items()},
        },
        ("numpy", "onnxruntime", "fastapi", "uvicorn", "websockets", "ray"),
    )


def _together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the rounds, and what went wrong in any of them."""
    late = [row["late_ms"] for row in rows]
    return {
        "p50_ms": round(float(np.median([each["p50"] for each in late])), 2),
        "p99_ms": round(float(np.median([each["p99"] for each in late])), 2),
        "cores": round(float(np.median([row["cores"] for row in rows])), 3),
        "updates": sum(row["updates"] for row in rows),
        "refused": sum(row["refused"] for row in rows),
        "starved": sum(row["starved"] for row in rows),
    }


def _busy_s(root: int) -> float:
    """Seconds of processors that a process and all below it have had."""
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents.setdefault(int(words[1]), []).append(int(folder.name))
        times[int(folder.name)] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    total, left = 0.0, [root]
    while left:
        process = left.pop()
        total += times.get(process, 0.0)
        left += parents.get(process, [])
    return total


if __name__ == "__main__":
    main()
