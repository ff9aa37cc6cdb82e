"""Clocks: time, waiting and threads; of the system, or virtual, so that a day passes as fast as it can be computed.

Every thread of a live run is started by a clock and waits through it. Virtual time stands still while any thread works. When
all threads wait, it jumps to the next moment that one of them waits for.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self


class Monitor(Protocol):
    """A lock with waiting: within its context, the data that it guards may be read and changed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def wait(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Within the context: waits until `ready()` or the end of the time; returns whether it was ready."""
        ...

    def notify(self) -> None:
        """Within the context: every waiting thread checks `ready()` again."""
        ...


class Task(Protocol):
    """Work that runs on a thread of its own."""

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits until the work is done; returns whether it is."""
        ...


class Clock(Protocol):
    """Gives the time, waits, and starts threads that wait."""

    def now_ns(self) -> int:
        """The time in nanoseconds since a fixed moment; never decreases."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits for so many seconds."""
        ...

    def monitor(self) -> Monitor:
        """Makes a monitor."""
        ...

    def start(self, work: Callable[[], None], name: str) -> Task:
        """Runs `work` on a new thread called `name`."""
        ...


class _Task:
    def __init__(self, clock: Clock, done: Monitor) -> None:
        self._done, self._finished = done, False

    def finish(self) -> None:
        with self._done:
            self._finished = True
            self._done.notify()

    def join(self, timeout_s: float | None = None) -> bool:
        with self._done:
            return self._done.wait(lambda: self._finished, timeout_s)


class _SystemMonitor:
    def __init__(self) -> None:
        self._condition = threading.Condition()

    def __enter__(self) -> Self:
        self._condition.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._condition.__exit__(kind, error, trace)

    def wait(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        return self._condition.wait_for(ready, timeout_s)

    def notify(self) -> None:
        self._condition.notify_all()


class SystemClock:
    """The system's monotonic clock and its threads."""

    def now_ns(self) -> int:
        """The monotonic clock in nanoseconds."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Waits for so many seconds; returns at once for a negative number."""
        if seconds > 0:
            time.sleep(seconds)

    def monitor(self) -> Monitor:
        """Makes a monitor."""
        return _SystemMonitor()

    def start(self, work: Callable[[], None], name: str) -> Task:
        """Runs `work` on a daemon thread, since a device that never returns must not keep the process alive."""
        task = _Task(self, self.monitor())

        def run() -> None:
            try:
                work()
            finally:
                task.finish()

        threading.Thread(target=run, name=name, daemon=True).start()
        return task


class _VirtualMonitor:
    """A monitor of a virtual clock; all of them share its one lock, so that a waiting thread can see that all threads wait."""

    def __init__(self, clock: "VirtualClock") -> None:
        self._clock = clock

    def __enter__(self) -> Self:
        self._clock.lock.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.lock.__exit__(kind, error, trace)

    def wait(self, ready: Callable[[], bool], timeout_s: float | None = None) -> bool:
        return self._clock.wait(ready, timeout_s)

    def notify(self) -> None:
        self._clock.lock.notify_all()


class VirtualClock:
    """Virtual time, for tests. The thread that makes the clock is its first thread; `start` starts the others."""

    def __init__(self, now_ns: int = 0) -> None:
        self.lock = threading.Condition()
        self._now = now_ns
        self._threads = 1
        self._waiting: dict[object, tuple[float, Callable[[], bool]]] = {}

    def now_ns(self) -> int:
        """The virtual time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Waits for so many seconds of virtual time."""
        with self.lock:
            self.wait(lambda: False, max(0.0, seconds))

    def monitor(self) -> Monitor:
        """Makes a monitor, which shares the clock's lock."""
        return _VirtualMonitor(self)

    def start(self, work: Callable[[], None], name: str) -> Task:
        """Runs `work` on a new thread; virtual time stands still while it works."""
        task = _Task(self, self.monitor())
        with self.lock:
            self._threads += 1

        def run() -> None:
            try:
                work()
            finally:
                with self.lock:
                    task.finish()
                    self._threads -= 1
                    self.lock.notify_all()

        threading.Thread(target=run, name=name, daemon=True).start()
        return task

    def wait(self, ready: Callable[[], bool], timeout_s: float | None) -> bool:
        """Within the lock: waits until `ready()` or the end of the virtual time; returns whether it was ready.

        Raises:
            RuntimeError: all threads wait, and none of them for a moment in time.
        """
        deadline = float("inf") if timeout_s is None else self._now + round(timeout_s * 1e9)
        token = object()
        self._waiting[token] = (deadline, ready)
        try:
            while not ready():
                if self._now >= deadline:
                    return False
                if not self._advance():
                    self.lock.wait()
            return True
        finally:
            del self._waiting[token]

    def _advance(self) -> bool:
        """Jumps to the next deadline if all threads wait and none is ready; returns whether it did."""
        if len(self._waiting) < self._threads:
            return False
        if any(ready() or deadline <= self._now for deadline, ready in self._waiting.values()):
            return False
        soonest = min(deadline for deadline, _ in self._waiting.values())
        if soonest == float("inf"):
            raise RuntimeError("everybody waits for ever")
        self._now = int(soonest)
        self.lock.notify_all()
        return True
