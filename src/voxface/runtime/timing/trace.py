"""Spans of work, collected from any thread."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Final, NamedTuple

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

    def drain(self) -> list[Span]:
        """The spans since the last call, in the order in which they ended; they are kept no longer."""
        return [Span(*self._spans.popleft()) for _ in range(len(self._spans))]  # others may add meanwhile
