"""SIGTERM while Ray is connected."""

import importlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended_by_sigterm() -> Iterator[Callable[[], None]]:
    """SIGTERM leaves this context, so that Ray's processes are ended, with the exit code of a process that it has ended.

    Ray's own handlers end with another code, or print the stack. It sets them when it is started; what is yielded is to be
    called afterwards.
    """
    utilities: Any = importlib.import_module("ray._private.utils")
    name = "set_sigterm_handler"
    its_own = getattr(utilities, name, None)
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    if its_own is not None:
        setattr(utilities, name, lambda _: None)

    def catch() -> None:
        if main and before is not None:
            own = before if before is not signal.SIG_DFL else lambda number, _: sys.exit(128 + number)
            signal.signal(signal.SIGTERM, own)

    catch()
    try:
        yield catch
    finally:
        if its_own is not None:
            setattr(utilities, name, its_own)
        if main and before is not None:
            signal.signal(signal.SIGTERM, before)
