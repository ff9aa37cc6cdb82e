"""Batches made ahead of the steps that need them, and how long the steps have waited for them.

A batch follows from the number of its step alone, so it is the same whenever it is made: on a GPU a few are made by threads
while the device computes; on a CPU, whose cores the networks need, when its turn comes. Batches that take less time than code
and data need to get back into a cache that a step has emptied are made several at a time.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class PreparedBatches(Generic[Batch]):
    """Makes batches in the order of the steps; not thread-safe, but `make` runs in threads where `ahead` is above 0.

    Attributes:
        waited: seconds that `at` has taken in all.
    """

    def __init__(
        self,
        make: Callable[[int], Batch],
        last: int,
        *,
        ahead: int = 0,
        threads: int = 2,
        together: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`make`: step -> batch; none is made for step `last` and beyond.

        Args:
            ahead: batches that are made before they are asked for.
            threads: that make them.
            together: batches that are made at once where none is made ahead.
        """
        self._make, self._last, self._ahead, self._clock = make, last, ahead, clock
        self._together = together
        self._made: dict[int, Batch] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="voxface-batch") if ahead else None
        self._coming: dict[int, Future[Batch]] = {}
        self.waited = 0.0

    def at(self, step: int) -> Batch:
        """The batch of a step; steps are asked for in turn. Exceptions of `make` are raised here."""
        began = self._clock()
        try:
            if self._pool is None:
                if step not in self._made:
                    self._made = {each: self._make(each) for each in self._next(step, self._together)}
                return self._made.pop(step)
            for each in self._next(step, 1 + self._ahead):
                if each not in self._coming:
                    self._coming[each] = self._pool.submit(self._make, each)
            return self._coming.pop(step).result()
        finally:
            self.waited += self._clock() - began

    def _next(self, step: int, count: int) -> range:
        return range(step, min(step + count, self._last))

    def close(self) -> None:
        """Ends the threads; batches that nobody has asked for are dropped."""
        self._coming.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
