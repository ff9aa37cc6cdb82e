"""Memory that Python and numpy allocate in an update, measured in a pass of its own, since tracing slows everything."""

import gc
import statistics
import sys
import tracemalloc
from dataclasses import dataclass

from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.profile.paced import Loop


@dataclass(frozen=True)
class Allocations:
    """Allocations of Python and numpy in updates; those of engines are not included.

    Attributes:
        updates: number of updates measured.
        peak_kb: the most memory held during an update above that held before it, median over updates, kilobytes.
        kept_blocks: blocks that an update leaves allocated after garbage collection, on average; about 0 if memory does not
            grow.
    """

    updates: int
    peak_kb: float
    kept_blocks: float


def count_allocations(pipeline: Pipeline, loop: Loop, updates: int = 12) -> Allocations:
    """Measures `updates` updates of a pipeline whose window is full."""
    peaks: list[float] = []
    tracing = tracemalloc.is_tracing()
    gc.collect()
    blocks = sys.getallocatedblocks()
    tracemalloc.start()
    try:
        for _ in range(4 * updates):
            if len(peaks) == updates:
                break
            estimates = pipeline.counters.estimates
            block = loop.block(0, 0)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            pipeline.feed(block)
            if pipeline.counters.estimates > estimates:
                peaks.append((tracemalloc.get_traced_memory()[1] - before) / 1e3)
    finally:
        if not tracing:
            tracemalloc.stop()
    if not peaks:
        return Allocations(0, 0.0, 0.0)
    gc.collect()
    kept = sys.getallocatedblocks() - blocks
    return Allocations(len(peaks), statistics.median(peaks), kept / len(peaks))
