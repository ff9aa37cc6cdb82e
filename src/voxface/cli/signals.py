"""Clean ends by SIGINT, SIGTERM and SIGHUP: sound already captured is processed, files are closed, the summary is printed. A
second signal ends the process at once.

SIGHUP comes when a terminal closes. Under `nohup` the process was started with it ignored, and it stays ignored.

Python runs its handlers on the main thread, between two of its own instructions. A graph that never ends keeps the thread from
that, so other threads are told of signals by the operating system. They stop a run of a graph that goes on for long after one,
and end the process if the handler has not run in time.
"""

import math
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Final

from voxface.runtime.engines.under_way import StoppedError, stop_runs
from voxface.runtime.errors import Interrupted

if TYPE_CHECKING:
    from voxface.runtime.live.stop import Stop

    _Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

RUN_S: Final = 1.0  # the longest that a run of a graph may go on after a signal
AT_ONCE_S: Final = 0.25  # the time that the main thread gets to handle a second signal
POLL_S: Final = 0.1
GRACE_S: Final = 10.0  # the longest that the main thread may be inside one call of a library after a signal
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
HANGUP: Final = "SIGHUP"
_STREAMS: Final = (1, 2)


@contextmanager
def stopping_on_signals(stop: "Stop") -> Iterator[None]:
    """While inside, the signals ask `stop`; for the main thread only.

    Raises:
        Interrupted: a run of a graph had to be stopped, and nothing inside has made an end of it.
    """
    unheard = Unheard()

    def ask(number: int, frame: FrameType | None) -> None:
        unheard.heard(time.monotonic())
        name = signal.Signals(number).name
        if name == HANGUP:
            leave_closed_terminal()
        stop.request(name)
        signal.signal(number, _heard_first(unheard, before[number]))

    before = {number: signal.getsignal(number) for number in ENDING}
    if before.get(getattr(signal, HANGUP, None)) is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, ask)
    try:
        with _ending_when_stuck(unheard):
            yield
    except StoppedError as error:
        raise Interrupted(signal.Signals[stop.reason or "SIGINT"]) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_closed_terminal() -> None:
    """Discards what is written to a terminal that has been closed, where every write fails; a result must not end by that."""
    for number in _STREAMS:
        with suppress(OSError):
            there = os.fstat(number)
            if stat.S_ISCHR(there.st_mode) and not os.isatty(number) and there.st_rdev != os.stat(os.devnull).st_rdev:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, number)
                os.close(null)


@contextmanager
def breaking_off_runs() -> Iterator[None]:
    """While inside, Ctrl-C does what it did before, also when it comes while a graph is run that does not end."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    unheard = Unheard()
    signal.signal(signal.SIGINT, _heard_first(unheard, before))
    try:
        with _ending_when_stuck(unheard):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


class Unheard:
    """The signals that no handler of Python has heard of yet, and when the process must end without it. Times are in seconds.

    Attributes:
        since: the time of the first signal; None while there was none.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self._heard: float | None = None  # the last time
        self._number, self._again = 0, math.inf

    def heard(self, now: float) -> None:
        """A handler runs."""
        self._heard = now

    def told(self, number: int, now: float) -> None:
        """The operating system tells of a signal. Its handler may have run just before."""
        if self.since is None:
            self._number, self.since = number, now
        elif not self._heard_since(now) and (self._again == math.inf or self._heard_since(self._again)):
            self._number, self._again = number, now

    def exit_code(self, now: float) -> int | None:
        """The code to end the process with; None while it need not end."""
        if self.since is None:
            return None
        first = self._heard is None and now >= self.since + GRACE_S
        second = now >= self._again + AT_ONCE_S and not self._heard_since(self._again)
        return 128 + self._number if first or second else None

    def _heard_since(self, when: float) -> bool:
        """Whether a handler ran after the signal that was told of then, which it may have done just before."""
        return self._heard is not None and self._heard >= when - POLL_S


def _heard_first(unheard: Unheard, handler: "_Handler") -> "_Handler":
    """The handler, which then tells that it was called."""
    if not callable(handler):
        return signal.SIG_DFL

    def call(number: int, frame: FrameType | None) -> object:
        unheard.heard(time.monotonic())
        return handler(number, frame)

    return call


@contextmanager
def _ending_when_stuck(unheard: Unheard, end: "Callable[[int], object]" = os._exit) -> Iterator[None]:
    """While inside, a signal stops runs of graphs that go on for `RUN_S`, on any thread. One not heard within `GRACE_S`, or
    before a second one comes, ends the process with 128 + its number."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    wake, left = Event(), Event()

    def listen() -> None:
        while number := os.read(told, 1):
            if number[0] in ENDING:
                unheard.told(number[0], time.monotonic())
                wake.set()
        os.close(told)

    def watch() -> None:
        wake.wait()
        while not left.wait(POLL_S):
            now = time.monotonic()
            if (code := unheard.exit_code(now)) is not None:
                end(code)
            if unheard.since is not None and now >= unheard.since + RUN_S:
                stop_runs(RUN_S)

    for work in (listen, watch):  # not later: memory for a thread may be bounded then
        Thread(target=work, name="voxface-signals", daemon=True).start()
    try:
        yield
    finally:
        left.set()
        wake.set()
        signal.set_wakeup_fd(before)
        os.close(tell)
