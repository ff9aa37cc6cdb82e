"""The time of each stage of an update; the stages follow one another without a gap."""

import time

from voxface.runtime.timing.trace import Trace


class StageTimer:
    """Counts the time of the stages of one update after another. A stage begins where the stage before it ended.

    An update has one timer. The code that begins the update owns the timer and hands it down to the code that does the work;
    everything that works on the update calls `lap`, and the owner alone calls `drain` when the update is done.

    Attributes:
        trace: gets each stage as a span; None: there is no trace.
    """

    __slots__ = ("_last", "_now", "_ns", "trace")

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace = trace
        self._ns: dict[str, int] = {}
        self._now = trace.now_ns if trace is not None else time.perf_counter_ns
        self._last = self._now()

    def begin(self) -> int:
        """The next stage begins now; the time since the last stage ended is not counted. Returns the present time."""
        self._last = self._now()
        return self._last

    def lap(self, stage: str) -> None:
        """`stage` ends now, and the next stage begins."""
        now = self._now()
        self._ns[stage] = self._ns.get(stage, 0) + now - self._last
        if self.trace is not None:
            self.trace.add(stage, self._last, now)
        self._last = now

    def lap_uncounted(self, stage: str) -> None:
        """`stage` ends now, and the next stage begins. The trace gets it, but it counts as no part of the update."""
        now = self._now()
        if self.trace is not None:
            self.trace.add(stage, self._last, now)
        self._last = now

    def add(self, stage: str, ns: int) -> None:
        """Counts time of `stage` that was measured elsewhere."""
        self._ns[stage] = self._ns.get(stage, 0) + ns

    def close(self, whole: str, began: int) -> None:
        """Gives the trace one span, named `whole`, round all the stages since `began`."""
        if self.trace is not None:
            self.trace.add(whole, began, self._now())

    def drain(self) -> dict[str, int]:
        """Nanoseconds of each stage so far, in the order in which they first ended; the next update counts from zero."""
        ns, self._ns = self._ns, {}
        return ns
