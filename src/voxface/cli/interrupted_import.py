"""A Ctrl-C that comes while Python's machinery of imports is at work, and modules are imported on several threads.

The machinery holds a lock that all threads need. A KeyboardInterrupt that is raised within it may be lost and leave the lock
taken; then the threads that import wait for ever, and the command with them.
"""

import signal
from _thread import interrupt_main
from contextlib import suppress
from threading import Timer, main_thread
from types import FrameType, TracebackType
from typing import Final, Self

_MACHINERY: Final = "<frozen importlib._bootstrap"  # and `_bootstrap_external`
_AGAIN_S: Final = 0.01


class InterruptedImport:
    """While inside, a Ctrl-C is put off until the main thread is not within the machinery; a context manager.

    Beside the main thread, and where the program handles the signal in a way of its own, it does nothing.
    """

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with suppress(ValueError):  # beside the main thread
                signal.signal(signal.SIGINT, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _within_machinery(frame):
        Timer(_AGAIN_S, _again).start()
    else:
        signal.default_int_handler(number, frame)


def _within_machinery(frame: FrameType | None) -> bool:
    """Whether the machinery goes on in this frame, or after it: behind the one that puts off an earlier Ctrl-C."""
    if frame is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        return True
    while frame is not None and frame.f_code is not _interrupt.__code__:
        frame = frame.f_back
    return frame is not None


def _again() -> None:
    if hasattr(signal, "pthread_kill"):  # which also wakes a main thread that waits
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
    else:
        interrupt_main()
