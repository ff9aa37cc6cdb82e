"""Counts the time of stages that follow one another without a gap."""

import time

from voxface.runtime.timing.trace import Trace


class StageTimer:
    """Counts the time of stages that follow one another: each begins where the one before it ended.

    Attributes:
        ns: stage -> nanoseconds so far; whoever reports them takes them out.
        trace: keeps each as a span as well, where there is one.
    """

    __slots__ = ("_last", "_now", "ns", "trace")

    def __init__(self, trace: Trace | None = None) -> None:
        self.ns: dict[str, int] = {}
        self.trace = trace
        self._now = trace.now_ns if trace is not None else time.perf_counter_ns
        self._last = self._now()

    def begin(self) -> int:
        """The next stage begins now; what passed since the last belongs to somebody else. Returns the time."""
        self._last = self._now()
        return self._last

    def lap(self, stage: str) -> None:
        """`stage` ends now, and the next begins."""
        now = self._now()
        self.ns[stage] = self.ns.get(stage, 0) + now - self._last
        if self.trace is not None:
            self.trace.add(stage, self._last, now)
        self._last = now

    def close(self, whole: str, began: int) -> None:
        """Records the stages since `began` as one span round them."""
        if self.trace is not None:
            self.trace.add(whole, began, self._now())

    def take(self) -> dict[str, int]:
        """The times so far; counting begins anew."""
        ns, self.ns = self.ns, {}
        return ns
