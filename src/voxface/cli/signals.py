"""Clean ends by SIGINT, SIGTERM and SIGHUP: sound already captured is processed, files are closed, the summary is printed. A
second signal ends the process at once.

SIGHUP comes when a terminal closes. Under `nohup` the process was started with it ignored, and it stays ignored.

Python runs its handlers on the main thread, between two of its own instructions. A graph that never ends keeps the thread from
that, so another thread is told of signals by the operating system, and ends the process if the handler has not run in time.
"""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from voxface.runtime.live.stop import Stop

GRACE_S: Final = 10.0  # the longest that the main thread may be inside one call of a library after a signal
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
HANGUP: Final = "SIGHUP"
_STREAMS: Final = (1, 2)


@contextmanager
def stopping_on_signals(stop: "Stop") -> Iterator[None]:
    """While inside, the signals ask `stop`; for the main thread only."""
    handled = Event()

    def ask(number: int, frame: FrameType | None) -> None:
        handled.set()
        name = signal.Signals(number).name
        if name == HANGUP:
            leave_closed_terminal()
        stop.request(name)
        signal.signal(number, before[number] if callable(before[number]) else signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in ENDING}
    if before.get(getattr(signal, HANGUP, None)) is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, ask)
    try:
        with _ending_when_stuck(handled):
            yield
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
def _ending_when_stuck(handled: Event, end: "Callable[[int], object]" = os._exit) -> Iterator[None]:
    """While inside, a signal that is not `handled` within `GRACE_S` ends the process with 128 + its number."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def watch() -> None:
        while number := os.read(told, 1):
            if number[0] in ENDING and not handled.wait(GRACE_S):
                end(128 + number[0])
        os.close(told)

    Thread(target=watch, name="voxface-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(tell)
