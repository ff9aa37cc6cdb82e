"""Turns: the sides of a comparison run alternately in one process, so that other load on the machine affects all alike.

How much time other programs took is recorded too: inside a container the load average does not show neighbours, but the
time taken from this process does.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

BUSY: Final = 0.1  # share of the cores taken by others, above which a result says that its times are too long
WARM_UP: Final = 3

Times = NDArray[np.float64]  # milliseconds, one a round


def take_turns(sides: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = WARM_UP) -> dict[str, Times]:
    """Milliseconds of each side, float64 [rounds]; in every round each runs once, after `warm_up` rounds that do not count."""

    def timed(run: Callable[[], object]) -> Callable[[], dict[str, float]]:
        def once() -> dict[str, float]:
            began = time.perf_counter_ns()
            run()
            return {"total": (time.perf_counter_ns() - began) / 1e6}

        return once

    found = take_turns_by_stage({name: timed(run) for name, run in sides.items()}, rounds, warm_up)
    return {name: stages["total"] for name, stages in found.items()}


def take_turns_by_stage(
    sides: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int, warm_up: int = WARM_UP, pause_s: float = 0.0
) -> dict[str, dict[str, Times]]:
    """Milliseconds by stage of sides that measure themselves: each call returns milliseconds by stage.

    Args:
        pause_s: rest before each side, so that threads which the last one left spinning do not run beside it.
    """
    found: dict[str, dict[str, Times]] = {name: {} for name in sides}
    for round_ in range(-warm_up, rounds):
        for name, run in sides.items():
            time.sleep(pause_s)
            for stage, milliseconds in run().items():
                if round_ >= 0:
                    found[name].setdefault(stage, np.zeros(rounds))[round_] = milliseconds
    return found


def percentiles(times: Times) -> dict[str, float]:
    """The median, the tail and the fastest of many times, in their own unit."""
    p50, p90, p99 = np.quantile(times, (0.5, 0.9, 0.99)).tolist()
    return {key: round(value, 4) for key, value in (("min", times.min()), ("p50", p50), ("p90", p90), ("p99", p99))}


def times_as_long(times: Mapping[str, Times], ours: str) -> dict[str, float]:
    """The ratio of each other side's time to that of `ours`: the median over rounds of the ratio within a round."""
    return {name: round(float(np.median(t / times[ours])), 3) for name, t in times.items() if name != ours}


class Neighbours:
    """A context manager that measures how busy other programs kept the cores while a benchmark ran.

    Attributes:
        load_before: load average over the minute before.
        taken: share of the cores' time that other processes, or another guest of the host, had; None: the system does not say.
    """

    def __enter__(self) -> Self:
        self.load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        self.taken: float | None = None
        self._began = _processor_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = _processor_seconds()
        if self._began is not None and ended is not None:
            every, busy, own = (after - before for before, after in zip(self._began, ended, strict=True))
            self.taken = max(0.0, (busy - own) / every) if every > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """The measured load as JSON, with a `warning` where the times cannot be trusted as they stand."""
        found: dict[str, Any] = {"load_average_before": round(self.load_before, 2)}
        if self.taken is not None:
            found["cores_taken_by_others"] = round(self.taken, 3)
            if self.taken > BUSY:
                found["warning"] = (
                    f"other programs had {self.taken:.0%} of the cores: ratios hold, times are longer than on an idle machine"
                )
        return found


def _processor_seconds() -> tuple[float, float, float] | None:
    """Seconds of all cores so far: in all, of all programs, and of this process and its ended children."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(number) for number in stat.read_text().split("\n", 1)[0].split()[1:9]]
    second = os.sysconf("SC_CLK_TCK")
    idle = ticks[3] + ticks[4]
    return sum(ticks) / second, (sum(ticks) - idle) / second, sum(os.times()[:4])
