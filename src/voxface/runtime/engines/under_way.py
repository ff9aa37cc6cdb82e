"""Runs of graphs that are under way, and how another thread ends one that goes on for too long.

While a thread is inside ONNX Runtime it runs no signal handler of Python, so what ends the run must come from elsewhere.
"""

import time
from threading import Lock
from types import TracebackType
from typing import Any
from weakref import WeakSet

from voxface.runtime.errors import BundleError


class StoppedError(BundleError):
    """A run that another thread has ended."""


class Runs:
    """The runs of one session of ONNX Runtime, one at a time; as a context it is a run, and gives the options to run with.

    Attributes:
        stopped: whether `stop` was called.
    """

    def __init__(self, options: Any) -> None:
        """Takes the RunOptions of all of these runs."""
        self._options = options
        self._since: float | None = None
        self.stopped = False
        with _lock:
            _all.add(self)

    def stop(self) -> None:
        """Ends the run that is under way; it raises, as do all runs after it."""
        self.stopped = True
        self._options.terminate = True

    def longer_than(self, seconds: float) -> bool:
        """Whether a run is under way that began so many seconds ago."""
        since = self._since
        return since is not None and time.monotonic() - since >= seconds

    def __enter__(self) -> Any:
        self._since = time.monotonic()
        return self._options

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._since = None


_all: WeakSet[Runs] = WeakSet()
_lock = Lock()


def stop_runs(longer_than: float) -> None:
    """Stops every run, on any thread, that is under way since so many seconds."""
    with _lock:
        every = list(_all)
    for runs in every:
        if runs.longer_than(longer_than):
            runs.stop()
