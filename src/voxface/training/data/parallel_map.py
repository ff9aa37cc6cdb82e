"""Work on many things by several processes, with results in the order of the things."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from voxface.runtime.errors import ProviderError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

Step = Callable[[str], None]
"""Told what was finished."""

Stage = Callable[[str, int], Step]
"""Told what is begun, and how many of it there are."""


def silent(what: str, total: int) -> Step:
    """Nobody is told."""
    return lambda _: None


_task: tuple[Callable[[Any, Any], Any], Any] | None = None  # in a worker: what to do, and what with


def parallel_map(
    work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item], workers: int = 1
) -> Iterator[Result]:
    """`work(shared, item)` of every item, in order.

    Args:
        work: a function of a module, so that other processes find it.
        shared: what all items need; goes to each process once.
        workers: processes; 1 works in this one. The results do not depend on it.

    Raises:
        ProviderError: a process ended unasked.
    """
    if workers <= 1 or len(items) < 2:
        for item in items:
            yield work(shared, item)
        return
    # Started afresh: a forked process would inherit threads of the renderer and of linear algebra in mid-work.
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process, which ends the others
    _task = (work, shared)


def _do(item: Any) -> Any:
    assert _task is not None
    work, shared = _task
    return work(shared, item)
