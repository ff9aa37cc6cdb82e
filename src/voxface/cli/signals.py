"""Clean ends by SIGINT, SIGTERM and SIGHUP: sound already captured is processed, files are closed, the summary is printed. A
second signal ends the process at once.

SIGHUP comes when a terminal closes. Under `nohup` the process was started with it ignored, and it stays ignored.
"""

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from voxface.runtime.live.stop import Stop

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
HANGUP: Final = "SIGHUP"
_STREAMS: Final = (1, 2)


@contextmanager
def stopping_on_signals(stop: "Stop") -> Iterator[None]:
    """While inside, the signals ask `stop`; for the main thread only."""

    def ask(number: int, frame: FrameType | None) -> None:
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
