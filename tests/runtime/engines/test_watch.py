"""Work that may never end: a time limit, an end by Ctrl-C, and what is stopped."""

import _thread
from collections.abc import Iterator
from itertools import count
from threading import Event

import pytest

from voxface.runtime.engines import memory_bound
from voxface.runtime.engines.memory_bound import MemoryBound, process_is_ours
from voxface.runtime.engines.watch import Watch


def leaps() -> Iterator[float]:
    """A clock by which an hour passes at each look."""
    return (3600.0 * hour for hour in count())


def test_results_and_errors_come_back() -> None:
    assert Watch(10).run(lambda: 7) == 7

    def fail() -> int:
        raise KeyError("no")

    with pytest.raises(KeyError, match="no"):
        Watch(10).run(fail)


def test_what_takes_too_long_is_stopped() -> None:
    stopped = Event()
    clock = leaps()
    watch = Watch(10, lambda: next(clock))
    watch.on_stop(stopped.set)
    with pytest.raises(TimeoutError):
        watch.run(lambda: stopped.wait(60))
    assert stopped.is_set()
    assert not watch.left_behind
    late = Event()
    watch.on_stop(late.set)
    assert late.is_set(), "what begins after the end is stopped at once"


def test_ctrl_c_ends_the_waiting_and_the_work() -> None:
    stopped = Event()
    watch = Watch(600)

    def begin() -> bool:
        watch.on_stop(stopped.set)
        _thread.interrupt_main()
        return stopped.wait(60)

    with pytest.raises(KeyboardInterrupt):
        watch.run(begin)
    assert stopped.is_set()


@pytest.mark.skipif(memory_bound._private_bytes() is None, reason="only Linux keeps to such a bound")
def test_memory_is_bounded_in_commands_and_nowhere_else() -> None:
    import resource

    def limit() -> int:
        return resource.getrlimit(resource.RLIMIT_DATA)[0]

    before = limit()
    assert Watch(10).run(limit, MemoryBound(1 << 30)) == before
    with process_is_ours():
        within = Watch(10).run(limit, MemoryBound(1 << 30))
        assert 1 << 30 < within < 1 << 40
        with pytest.raises(MemoryError):
            Watch(10).run(lambda: len(bytearray(3 << 30)), MemoryBound(1 << 30))
    assert limit() == before
