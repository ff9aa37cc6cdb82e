"""Signals that end a training at the end of its step, when all that was done can be saved."""

import signal
import threading
from types import FrameType
from typing import Any, Final

from voxface.runtime.errors import Interrupted

ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE: Final = 2  # signals after which the next one is not waited with


class StopSignals:
    """Hears SIGINT, SIGTERM and SIGHUP between `listen` and `close`.

    Attributes:
        first: number of the first signal that was heard, 0 before.
    """

    def __init__(self) -> None:
        self.first = 0
        self._count = 0
        self._handlers: dict[int, Any] = {}

    def listen(self) -> None:
        """Begins to hear, in the main thread only; a SIGHUP that the process ignores, as under nohup, stays ignored.

        The third signal raises `Interrupted` at once.
        """
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if number != getattr(signal, "SIGHUP", None) or signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._heard)

    def close(self) -> None:
        """Gives the signals back to whom they went before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self.first = self.first or number
        if self._count > _PATIENCE:
            raise Interrupted(number)
