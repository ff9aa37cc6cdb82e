"""How much memory Python and numpy ask for within an update. Tracing it slows everything, so it is a pass of its own."""

import gc
import statistics
import sys
import tracemalloc
from dataclasses import dataclass

from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.profile.paced import Loop


@dataclass(frozen=True)
class Allocations:
    """Of Python and numpy; what engines allocate for themselves is not seen.

    Attributes:
        updates: how many were looked at.
        peak_kb: most that was held at once beyond what was held before the update, median, kilobytes.
        kept_blocks: blocks that an update leaves behind once garbage is collected, on average; about 0 where memory does
            not grow.
    """

    updates: int
    peak_kb: float
    kept_blocks: float


def count_allocations(pipeline: Pipeline, loop: Loop, updates: int = 12) -> Allocations:
    """Feeds a pipeline whose window is full."""
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
