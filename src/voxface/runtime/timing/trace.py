"""Where time goes: stages that follow one another without a gap, and spans of them for a trace.

Whoever works counts its `Stages`, which costs a look at the clock each. A `Trace` handed in keeps every single span as well,
and is written as trace-event JSON, which Perfetto and chrome://tracing show.
"""

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any, Final, NamedTuple

from voxface.runtime.files.atomic import write_bytes

MOST_SPANS: Final = 2_000_000  # about 300 MB


class Span(NamedTuple):
    """What one thread did from `began` to `ended`, nanoseconds of one clock. A span is recorded when it ends, so after all
    those within it."""

    name: str
    thread: int
    began: int
    ended: int


class Trace:
    """Collects spans from any thread.

    Attributes:
        now_ns: its clock.
        recording: whether spans are kept; may be switched.
        dropped: spans beyond the most that are kept.
        threads: name of each thread seen.
    """

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns, most: int = MOST_SPANS) -> None:
        self.now_ns = now_ns
        self.recording = True
        self.dropped = 0
        self.threads: dict[int, str] = {}
        self._most = most
        self._spans: deque[tuple[str, int, int, int]] = deque()  # spans, but cheaper to make

    def add(self, name: str, began: int, ended: int) -> None:
        """A span of the calling thread."""
        if not self.recording:
            return
        thread = get_ident()
        if thread not in self.threads:
            self.threads[thread] = threading.current_thread().name
        if len(self._spans) < self._most:
            self._spans.append((name, thread, began, ended))
        else:
            self.dropped += 1

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """What is done inside is a span."""
        began = self.now_ns()
        try:
            yield
        finally:
            self.add(name, began, self.now_ns())

    def name_thread(self, name: str) -> None:
        """Calls the calling thread so; for threads that others started."""
        self.threads[threading.get_ident()] = name

    def take(self) -> list[Span]:
        """The spans since the last time, oldest end first."""
        return [Span(*self._spans.popleft()) for _ in range(len(self._spans))]  # others may add meanwhile


class Stages:
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


def trace_events(spans: Iterable[Span], threads: dict[int, str], about: dict[str, Any]) -> dict[str, Any]:
    """A trace-event document (JSON object format): complete events in microseconds, one track a thread.

    Args:
        spans: in any order; those of one thread nest.
        threads: their names.
        about: what the trace is of; shown as its metadata.
    """
    # At the same moment the longer span comes first: it is the one round the other.
    ordered = sorted(spans, key=lambda span: (span.began, -span.ended))
    start = ordered[0].began if ordered else 0
    numbers = {thread: number for number, thread in enumerate(dict.fromkeys(span.thread for span in ordered), 1)}
    pid = os.getpid()
    named: list[dict[str, Any]] = [
        {"ph": "M", "pid": pid, "tid": 0, "ts": 0, "name": "process_name", "args": {"name": "voxface"}}
    ]
    for thread, number in numbers.items():
        for what, value in (("thread_name", {"name": threads[thread]}), ("thread_sort_index", {"sort_index": number})):
            named.append({"ph": "M", "pid": pid, "tid": number, "ts": 0, "name": what, "args": value})
    events = [
        {
            "ph": "X",
            "pid": pid,
            "tid": numbers[span.thread],
            "ts": (span.began - start) / 1000,
            "dur": (span.ended - span.began) / 1000,
            "name": span.name,
            "cat": "voxface",
        }
        for span in ordered
    ]
    return {"traceEvents": named + events, "displayTimeUnit": "ms", "otherData": about}


def write_trace(path: Path, spans: Iterable[Span], threads: dict[int, str], about: dict[str, Any]) -> None:
    """Writes `trace_events` to `path`, whole or not at all."""
    document = trace_events(spans, threads, about)
    write_bytes(path, json.dumps(document, allow_nan=False, separators=(",", ":")).encode() + b"\n")
