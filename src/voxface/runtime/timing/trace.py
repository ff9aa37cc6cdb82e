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
    """A piece of work of one thread, from `began` to `ended`, nanoseconds of one clock.

    A span is recorded when it ends, so after all spans within it.
    """

    name: str
    thread: int
    began: int
    ended: int


class Trace:
    """Collects spans from any thread.

    Attributes:
        now_ns: the clock.
        recording: whether spans are kept; may be switched at any time.
        dropped: number of spans beyond the most that are kept.
        threads: name of each thread that recorded a span, by its identifier.
    """

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns, most: int = MOST_SPANS) -> None:
        self.now_ns = now_ns
        self.recording = True
        self.dropped = 0
        self.threads: dict[int, str] = {}
        self._most = most
        self._spans: deque[tuple[str, int, int, int]] = deque()  # the fields of spans: tuples are cheaper to make

    def add(self, name: str, began: int, ended: int) -> None:
        """Records a span of the calling thread."""
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
        """A context that is recorded as a span."""
        began = self.now_ns()
        try:
            yield
        finally:
            self.add(name, began, self.now_ns())

    def name_thread(self, name: str) -> None:
        """Names the calling thread; for threads that a library started."""
        self.threads[threading.get_ident()] = name

    def drain(self) -> list[Span]:
        """The spans since the last call, in the order in which they ended; they are kept no longer."""
        return [Span(*self._spans.popleft()) for _ in range(len(self._spans))]  # other threads may add spans meanwhile
