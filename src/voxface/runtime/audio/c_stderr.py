"""Silence for libmpg123, which writes its warnings on C's standard error, where they would tear up messages and screens.

libsndfile gives no way to tell it not to. Python writes on the descriptor and not on C's stream, so nothing of ours is lost.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

_LOCK = Lock()
_users = 0
_own: int | None = None


@contextmanager
def silenced() -> Iterator[None]:
    """C's standard error leads nowhere, for as long as any thread is in here. Only with glibc, elsewhere nothing is done."""
    global _users, _own
    stream, nowhere = _streams()
    if stream is None or not nowhere:
        yield
        return
    with _LOCK:
        _users += 1
        if _users == 1:
            _own, stream.value = stream.value, nowhere
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if _users == 0:
                stream.value = _own


@cache
def _streams() -> tuple[ctypes.c_void_p | None, int]:
    """The variable that holds C's standard error, and a stream that leads nowhere."""
    # In other C libraries it is a constant in memory that cannot be written.
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None, 0
    try:
        c = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(c, "stderr")
        c.fopen.restype = ctypes.c_void_p
        return stream, c.fopen(b"/dev/null", b"we") or 0
    except (OSError, AttributeError, ValueError):
        return None, 0
