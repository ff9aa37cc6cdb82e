"""Traces as trace-event JSON, the format that Perfetto and chrome://tracing show."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.timing.trace import Span


def trace_events(spans: Iterable[Span], threads: dict[int, str], about: dict[str, Any]) -> dict[str, Any]:
    """A trace-event document (JSON object format): complete events in microseconds, one track a thread.

    Args:
        spans: in any order; spans of one thread must nest.
        threads: name of each thread, by its identifier.
        about: what was traced; shown as the metadata of the trace.
    """
    # Of spans that begin together the longest comes first: it contains the others.
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
