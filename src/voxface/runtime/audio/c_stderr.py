"""Silence for libmpg123, which writes its warnings on C's standard error, where they would tear up messages and screens.

libsndfile gives no way to tell it not to. Python writes on the descriptor and not on C's stream, so nothing of ours is lost.
"""

import ctypes
import platform
import sys
from functools import cache
from threading import Lock
from types import TracebackType


class Silence:
    """C's standard error leads nowhere while any thread is in this context. Only with glibc; elsewhere nothing is done."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._stream: ctypes.c_void_p | None = None
        self._own: int | None = None
        # In other C libraries it is a constant in memory that cannot be written.
        if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
            c = ctypes.CDLL(None)
            c.fopen.restype = ctypes.c_void_p
            self._nowhere: int | None = c.fopen(b"/dev/null", b"we")
            if self._nowhere:
                self._stream = ctypes.c_void_p.in_dll(c, "stderr")

    def __enter__(self) -> None:
        if self._stream is None:
            return
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._own, self._stream.value = self._stream.value, self._nowhere

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is None:
            return
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._stream.value = self._own


@cache
def silence() -> Silence:
    """The one of this process."""
    return Silence()
