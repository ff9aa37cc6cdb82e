"""Parallel map: a function applied to many items by several processes, with results in the order of the items.

`Engine` is the interface of whatever does it: `Processes` of this machine, or `ray_tasks` on several machines.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from voxface.runtime.errors import ProviderError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

Step = Callable[[str], None]
"""Callback with the name of an item that is finished."""

Stage = Callable[[str, int], Step]
"""Callback at the start of a stage, with its name and number of items."""


def silent(what: str, total: int) -> Step:
    """A `Stage` that reports nothing."""
    return lambda _: None


class Engine(Protocol):
    """Does the work on many items; what comes of it depends neither on the engine nor on what it loses meanwhile."""

    def __call__(
        self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[Result]:
        """`work(shared, item)` of every item, in order; `work` is a function at module level, `shared` is not changed by it.

        Raises:
            ProviderError: who did the work is gone.
        """
        ...


_task: tuple[Callable[[Any, Any], Any], Any] | None = None  # in a worker: the function and what all items share


def parallel_map(
    work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item], workers: int = 1
) -> Iterator[Result]:
    """`work(shared, item)` of every item, in order.

    Args:
        work: a function at module level, so that other processes can import it.
        shared: data that all items need; it is sent to each process once.
        items: one argument of `work` each.
        workers: number of processes; 1 works in this process. The results do not depend on it.

    Raises:
        ProviderError: a worker process died.
    """
    if workers <= 1 or len(items) < 2:
        for item in items:
            yield work(shared, item)
        return
    # Spawned: a forked process would inherit locks held by threads of the renderer and of linear algebra.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(items)), context, initializer=_begin, initargs=(work, shared))
    try:
        yield from pool.map(_do, items)
    except BrokenProcessPool as error:
        raise ProviderError("a worker process ended unasked, out of memory perhaps; try --workers 1") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any, Any], Any], shared: Any) -> None:
    global _task  # noqa: PLW0603 (a process pool has no other place for what its workers share)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the first process, which ends the others
    threading.Thread(target=_end_with_parent, name="voxface-parent", daemon=True).start()
    # A worker has one core. Threads of several workers that wait for each other made voices five times as slow.
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    _task = (work, shared)


def _end_with_parent() -> None:
    """Ends this worker when the first process is gone: after a kill it would wait for work for ever, and keep its memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do(item: Any) -> Any:
    assert _task is not None
    work, shared = _task
    return work(shared, item)


@dataclass(frozen=True)
class Processes:
    """The engine of one machine.

    Attributes:
        workers: number of processes; 1 works in this process.
    """

    workers: int = 1

    def __call__(
        self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[Result]:
        """See `Engine` and `parallel_map`."""
        return parallel_map(work, shared, items, self.workers)


ONE_PROCESS: Final = Processes()
