"""Percentiles of a stream of times in constant memory: a log-linear (HDR) histogram, one or one a stage."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

BITS: Final = 11  # leading bits of a time that are kept: a bucket is at most 2⁻¹⁰ of its times wide, three digits
RANGE: Final = 47  # bits of the longest time that has a bucket of its own: 39 hours
SHARES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}

_HALF: Final = 1 << (BITS - 1)  # buckets of each doubling
_BUCKETS: Final = (RANGE - BITS + 2) * _HALF


class Histogram:
    """Counts times, in whole nanoseconds, in buckets no wider than a thousandth of the time.

    Adding a time is integer arithmetic and allocates nothing. Of the 300 kB of counts, only the pages that have been written
    to take up memory.

    Attributes:
        count: number of times.
        largest_ns: the largest time, exactly.
        total_ns: the sum of the times, exactly.
    """

    __slots__ = ("_counts", "count", "largest_ns", "total_ns")

    def __init__(self) -> None:
        self._counts = np.zeros(_BUCKETS, np.int64).data  # zeros come from the system untouched
        self.count = 0
        self.largest_ns = 0
        self.total_ns = 0

    def add(self, ns: int) -> None:
        """Counts a time; a negative one counts as 0."""
        ns = max(ns, 0)
        spare = ns.bit_length() - BITS
        bucket = ns if spare <= 0 else spare * _HALF + (ns >> spare)
        self._counts[bucket if bucket < _BUCKETS else -1] += 1
        self.count += 1
        self.total_ns += ns
        self.largest_ns = max(self.largest_ns, ns)

    @property
    def mean_ns(self) -> float:
        """The mean time; 0 while there is none."""
        return self.total_ns / self.count if self.count else 0.0

    def percentile_ns(self, share: float) -> int:
        """The time that `share` of all times do not exceed, at most a thousandth too large; 0 while there is none."""
        rank = max(1, math.ceil(share * self.count - 1e-9))
        bucket = int(np.searchsorted(np.cumsum(np.asarray(self._counts)), rank))
        if bucket >= _BUCKETS - 1:
            return self.largest_ns
        spare = max(bucket // _HALF - 1, 0)
        return min(self.largest_ns, ((bucket - spare * _HALF + 1) << spare) - 1)

    def milliseconds(self) -> dict[str, float]:
        """p50, p90, p99, p99.9 and the largest time, in milliseconds."""
        found = {name: self.percentile_ns(share) / 1e6 for name, share in SHARES.items()}
        return {**found, "max": self.largest_ns / 1e6}


class StageHistograms:
    """A histogram of the times of each stage.

    Attributes:
        stages: the histogram of each stage, by its name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Starts an empty histogram for each of the stages `names`."""
        self.stages = {name: Histogram() for name in names}

    def add(self, ns: Mapping[str, int]) -> None:
        """Counts one time, in nanoseconds, of each stage in `ns`.

        Raises:
            KeyError: a stage has another name.
        """
        for name, value in ns.items():
            self.stages[name].add(value)

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """p50, p90, p99, p99.9 and the largest of each stage that has a time."""
        return {name: histogram.milliseconds() for name, histogram in self.stages.items() if histogram.count}
