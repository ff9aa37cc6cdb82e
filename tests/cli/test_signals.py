"""A signal to a main thread that is inside a library and does not come back."""

import os
import signal
from threading import Event

import pytest

from voxface.cli import signals
from voxface.cli.signals import stopping_on_signals
from voxface.runtime.live.stop import Stop

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no such signals")


def test_a_signal_that_is_not_handled_in_time_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No handler of Python runs while the signal waits at the C level: the write into the pipe is all there is."""
    ended: list[int] = []
    told = Event()

    def end(code: int) -> None:
        ended.append(code)
        told.set()

    monkeypatch.setattr(signals, "GRACE_S", 0.0)
    with signals._ending_when_stuck(Event(), end):
        pipe = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(pipe)
        os.write(pipe, bytes([signal.SIGTERM]))
        assert told.wait(10)
    assert ended == [128 + signal.SIGTERM]
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_is_handled_asks_for_the_end() -> None:
    stop = Stop()
    with stopping_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert stop.reason == "SIGTERM"
