"""Work on graphs that may never end, watched from outside: under a time limit, and never deaf to Ctrl-C.

While a thread is inside ONNX Runtime it runs no signal handler of Python. So graphs of a bundle are opened and tried on another
thread, while the caller's waits where a signal reaches it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Final, TypeVar

from voxface.runtime.engines.memory_bound import MemoryBound

GRACE_S: Final = 2.0  # time that work gets to end after it was stopped
POLL_S: Final = 0.25
T = TypeVar("T")
_left_behind: list[Thread] = []


def anything_left_behind() -> bool:
    """Whether work was given up that has not ended. A process that ends in the usual way would be aborted by it."""
    return any(thread.is_alive() for thread in _left_behind)


class Watch:
    """A watch over one piece of work. What can be stopped registers with `on_stop`.

    Attributes:
        left_behind: whether the work was given up and did not end; its thread then goes on until the process ends.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        seconds: the time limit.
        clock: the clock that the limit is measured with, in seconds.
        """
        self.seconds, self._clock = seconds, clock
        self._stops: list[Callable[[], None]] = []
        self._stopped = False
        self._lock = Lock()
        self.left_behind = False

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Registers what ends the work, or a part of it; called from another thread, at once if the end was asked for."""
        with self._lock:
            self._stops.append(stop)
            stopped = self._stopped
        if stopped:
            stop()

    def run(self, work: Callable[[], T], bound: MemoryBound | None = None) -> T:
        """Does the work on a thread of its own and waits for it; an exception of the work is raised here.

        Args:
            work: what to do.
            bound: the memory that may be used meanwhile.

        Raises:
            TimeoutError: the work took longer than the limit.
            KeyboardInterrupt: as Ctrl-C raises it in the waiting thread. The work is stopped, as after any exception here.
        """
        results: list[T] = []
        errors: list[BaseException] = []
        running = Lock()
        running.acquire()

        def do() -> None:
            try:
                results.append(work())
            except BaseException as error:  # raised in the thread that waits
                errors.append(error)
            finally:
                running.release()

        ends = self._clock() + self.seconds
        if bound is not None:
            bound.begin()
        try:
            thread = Thread(target=do, name="voxface-opening", daemon=True)
            try:
                thread.start()
                while not running.acquire(timeout=POLL_S):
                    if self._clock() >= ends:
                        raise TimeoutError
            except BaseException:
                self._stop()
                self.left_behind = not running.acquire(timeout=GRACE_S)
                if self.left_behind:
                    _left_behind.append(thread)
                raise
        finally:
            if bound is not None and not self.left_behind:
                bound.end()
        try:
            if errors:
                raise errors[0]
            return results[0]
        finally:
            errors.clear()  # an error's traceback holds this frame

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            stops = list(self._stops)
        for stop in stops:
            with suppress(Exception):  # the others are stopped all the same
                stop()
