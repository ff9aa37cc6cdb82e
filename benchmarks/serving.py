"""What the server keeps up with, beside what one thread keeps up with in a process of its own, and whether batches help.

    python -m benchmarks.serving [--seconds S] [--speech DIR]

In one run: (1) live sessions on one thread of this process, fed 0.1 s blocks of real speech at fixed times, two updates a
second each, as many as are always done before the next block; (2) `voxface serve`, which is a process of its own, with load
from this one: 80 % of that number, and then twice that number with the server's own limits, so that it has to refuse; (3) the
same server with and without batches, in turn, at half of that number. Lateness counts from when a block's last sample would
have been spoken. A stream that was let in and got less than a quarter of its updates counts as starved.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleave import Neighbours, percentiles
from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.serve.load_generator import BLOCK, BLOCK_S, Load, generate, read_speech
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import ServedStream

SPEECH: Final = Path(__file__).parent.parent / "examples"
UPDATES: Final = 2.0
MOST: Final = 1.2  # times the number that the cost of one stream predicts; more is not looked for
PROBES: Final = 6  # numbers of streams that are tried
PACED_S: Final = 6.0
ROUNDS: Final = 3
OPEN: Final = ("--limit", "load=1000", "--limit", "late-s=1000", "--limit", "sessions=4096")


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument(
        "--seconds", type=float, default=60.0, help="of the load of 80 %% (%(default)g); others get at most a minute"
    )
    options.add_argument("--speech", type=Path, default=SPEECH, help="recordings (the examples)")
    given = options.parse_args()
    speech = read_speech([given.speech])
    with Neighbours() as neighbours:
        alone = _in_process(speech)
        most = max(1, int(alone["sustained"]))
        with server(*OPEN) as (url, process):
            memory: list[list[float]] = [[0.0, _resident_mb(process)]]

            def look(seconds: float) -> None:
                if seconds >= memory[-1][0] + given.seconds / 20:
                    memory.append([round(seconds), _resident_mb(process)])

            eighty = load_of(url, speech, max(1, int(0.8 * most)), given.seconds, look)
        with server() as (url, _):
            twice = load_of(url, speech, 2 * most, min(given.seconds, 60.0))
        batches = _batches(speech, max(2, most // 2), min(given.seconds, 60.0) / 6)
    record(
        "serving",
        "python -m benchmarks.serving" + "".join(f" {word}" for word in sys.argv[1:]),
        {
            "updates_per_s": UPDATES,
            **neighbours.to_json(),
            "in_process": alone,
            "served_at_80_percent": eighty,
            "resident_mb_at_s": memory,
            "served_at_twice_the_capacity": twice,
            "batches": batches,
        },
        ("numpy", "onnxruntime", "fastapi", "uvicorn", "websockets"),
    )


def _in_process(speech: NDArray[np.int16]) -> dict[str, Any]:
    with FaceEstimator(threads=1) as estimator:
        estimator.warm_up()
        blocks = [speech[at : at + BLOCK, None] for at in range(0, len(speech) - BLOCK, BLOCK)]
        one = _Paced(estimator, blocks, 0)
        began = time.process_time()
        turns = round(20 / BLOCK_S)
        for turn in range(turns):
            one.hear(turn)
        share = (time.process_time() - began) / turns / BLOCK_S
        runs: list[dict[str, Any]] = []
        kept, least_lost = 0, max(2, round(MOST / share))
        for _ in range(PROBES):
            count = max(1, (kept + least_lost) // 2)
            late = _paced([_Paced(estimator, blocks, number) for number in range(count)])
            # Almost every stream has its last block done before its next one comes.
            kept_up = bool(np.quantile(late[-count:], 0.9) < 1000 * BLOCK_S)
            runs.append({"streams": count, "ms_from_due": percentiles(late), "kept_up": kept_up})
            kept, least_lost = (count, least_lost) if kept_up else (kept, count)
            if least_lost - kept <= 1:
                break
    return {"share_of_a_core": round(share, 5), "sustained": kept, "runs": runs}


class _Paced:
    """A session of this process."""

    def __init__(self, estimator: FaceEstimator, blocks: Sequence[NDArray[np.int16]], number: int) -> None:
        hello = Hello(updates_per_s=UPDATES, wants=frozenset({"coefficients"}), pace="wait")
        self._stream = ServedStream(hello, estimator, estimator.bundle, longest=160_000, now_ns=time.monotonic_ns)
        self._blocks, self._at = blocks, 37 * number

    def hear(self, turn: int) -> None:
        self._stream.queue.push(self._blocks[(self._at + turn) % len(self._blocks)], time.monotonic_ns())
        piece = self._stream.next_piece()
        if piece is not None:
            self._stream.work(piece)


def _paced(sessions: list[_Paced]) -> NDArray[np.float64]:
    """Milliseconds from when each block was due to when it was done, in order."""
    late = []
    began = time.perf_counter() + 0.01
    for turn in range(round(PACED_S / BLOCK_S)):
        for place, session in enumerate(sessions):
            due = began + (turn + place / len(sessions)) * BLOCK_S
            time.sleep(max(0.0, due - time.perf_counter()))
            session.hear(turn)
            late.append(1000 * (time.perf_counter() - due))
    return np.array(late)


@contextmanager
def server(*words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server while the context lasts: its address and its process."""
    command = [sys.executable, "-m", "voxface", "serve", "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server did not start")
            text += line
        yield str(json.loads(text)["url"]), process
    finally:
        process.terminate()
        process.wait(60)


def load_of(
    url: str, speech: NDArray[np.int16], streams: int, seconds: float, look: Callable[[float], None] = lambda s: None
) -> dict[str, Any]:
    """What so many streams got of a server."""
    load = Load(url.replace("http", "ws", 1) + "/v1/stream", streams, seconds, UPDATES)
    outcome = generate(load, speech, tick=look)
    fewest = (seconds - 2) * UPDATES / 4  # people pause; a quarter of the updates is less than any of them has
    return {**outcome.to_json(load), "starved": sum(faces < fewest for faces in outcome.faces)}


def _batches(speech: NDArray[np.int16], streams: int, seconds: float) -> dict[str, Any]:
    sides = {"none": (), "10 ms": ("--batch-ms", "10")}
    p50: dict[str, list[float]] = {name: [] for name in sides}
    p99: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, words in sides.items():
            with server(*OPEN, *words) as (url, _process):
                late = load_of(url, speech, streams, seconds)["late_ms"]
            p50[name].append(late["p50"])
            p99[name].append(late["p99"])
    return {
        "streams": streams,
        "p50_ms": {name: round(float(np.median(found)), 2) for name, found in p50.items()},
        "p99_ms": {name: round(float(np.median(found)), 2) for name, found in p99.items()},
        "batches_help": bool(np.median(p99["10 ms"]) < np.median(p99["none"])),
    }


def _resident_mb(process: "subprocess.Popen[str]") -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1)


if __name__ == "__main__":
    main()
