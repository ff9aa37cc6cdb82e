"""Clean ends by SIGINT and SIGTERM: sound already captured is processed, files are closed, the summary is printed. A second
signal ends the process at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxface.runtime.live.stop import Stop

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def stopping_on_signals(stop: "Stop") -> Iterator[None]:
    """While inside, the signals ask `stop`; for the main thread only."""

    def ask(number: int, frame: FrameType | None) -> None:
        stop.request(signal.Signals(number).name)
        signal.signal(number, before[number] if callable(before[number]) else signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
