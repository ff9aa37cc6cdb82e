"""Virtual time: it jumps when everybody waits, and only then."""

import pytest

from voxface.runtime.live.clock import SystemClock, VirtualClock


def test_a_day_passes_at_once() -> None:
    clock = VirtualClock(5)
    clock.sleep(86_400)
    assert clock.now_ns() == 5 + 86_400 * 10**9
    clock.sleep(0)
    clock.sleep(-1)
    assert clock.now_ns() == 5 + 86_400 * 10**9


def test_threads_wake_in_the_order_of_their_times() -> None:
    clock = VirtualClock()
    order: list[tuple[int, int]] = []

    def work(period: int) -> None:
        for _ in range(3):
            clock.sleep(period)
            order.append((clock.now_ns() // 10**9, period))

    tasks = [clock.start(lambda p=period: work(p), "worker") for period in (2, 5, 7)]  # type: ignore[misc]
    assert all(task.join() for task in tasks)
    assert order == sorted(order)
    assert order[-1] == (21, 7)


def test_who_is_notified_wakes_before_time_goes_on() -> None:
    clock = VirtualClock()
    monitor = clock.monitor()
    box: list[int] = []
    woken: list[int] = []

    def wait() -> None:
        with monitor:
            assert monitor.wait(lambda: bool(box), 100)
            woken.append(clock.now_ns())

    task = clock.start(wait, "waiter")
    clock.sleep(3)
    with monitor:
        box.append(1)
        monitor.notify()
    assert task.join()
    assert woken == [3 * 10**9]
    with monitor:
        assert not monitor.wait(lambda: False, 10)
    assert clock.now_ns() == 13 * 10**9


def test_waiting_for_nothing_is_an_error_and_no_hang() -> None:
    clock = VirtualClock()
    monitor = clock.monitor()
    with monitor, pytest.raises(RuntimeError, match="for ever"):
        monitor.wait(lambda: False)


def test_the_system_clock_waits_and_joins() -> None:
    clock = SystemClock()
    began = clock.now_ns()
    task = clock.start(lambda: clock.sleep(0.01), "sleeper")
    assert task.join(5)
    assert clock.now_ns() - began >= 10_000_000
    never = clock.start(lambda: clock.sleep(0.2), "late")
    assert not never.join(0.001)
    assert never.join(5)
