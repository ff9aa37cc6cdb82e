"""A value that is computed in the background, on a thread of its own."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Computes one value on a thread of its own.

    A thread gains time while its work releases the interpreter's lock: in numpy's loops, in decompression, while a graph is
    loaded. `concurrent.futures` does the same, but importing it takes a twentieth of the time that a first face may take.
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        """Starts the computation."""
        self._compute = compute
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="voxface-background", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Waits for the value and returns it. An exception of `compute` is raised here, each time."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._compute())
        except BaseException as error:
            self._error = error
