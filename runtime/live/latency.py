"""Percentiles of a stream of times in constant memory."""

from typing import Final

import numpy as np

LEAST_NS: Final = 1_000.0
STEP: Final = 1.02  # two per cent a bucket
BUCKETS: Final = 1_100  # to about 48 minutes

STAGES: Final = ("capture", "queue", "vad", "features", "encoder", "face", "mesh", "sink", "total")


class Histogram:
    """Counts times in buckets two per cent wide.

    Attributes:
        count: how many.
        largest_ns: the largest.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)
        self.count = 0
        self.largest_ns = 0

    def add(self, ns: int) -> None:
        """One more time; a negative one counts as none."""
        bucket = 0 if ns <= LEAST_NS else min(BUCKETS - 1, int(np.log(ns / LEAST_NS) / np.log(STEP)) + 1)
        self._counts[bucket] += 1
        self.count += 1
        self.largest_ns = max(self.largest_ns, ns)

    def percentile_ns(self, share: float) -> float:
        """The time that a share of them does not exceed, to two per cent; 0 where there is none."""
        if not self.count:
            return 0.0
        bucket = int(np.searchsorted(np.cumsum(self._counts), max(1, np.ceil(share * self.count))))
        return min(float(self.largest_ns), LEAST_NS * STEP**bucket)


class LatencyBudget:
    """Where the time of an estimate goes, from the converter (ADC) to the sinks: a histogram a stage."""

    def __init__(self) -> None:
        self.stages = {name: Histogram() for name in STAGES}

    def add(self, ns: dict[str, int]) -> None:
        """The stages of one estimate."""
        for name, value in ns.items():
            self.stages[name].add(value)

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """p50, p90, p99 and the largest of each stage that was measured."""
        return {
            name: {
                **{f"p{round(100 * share)}": h.percentile_ns(share) / 1e6 for share in (0.5, 0.9, 0.99)},
                "max": h.largest_ns / 1e6,
            }
            for name, h in self.stages.items()
            if h.count
        }
