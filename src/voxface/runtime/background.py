"""A value that is computed while something else is done."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Computes one value on a thread of its own.

    Threads gain where the interpreter is let go of: in numpy's loops, in decompression, while a graph is loaded. (The pools
    of `concurrent.futures` do the same; importing them takes a twentieth of what a first face may take.)
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        """Begins at once."""
        self._compute = compute
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="voxface-background", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """The value, waited for; whatever `compute` raised is raised here, each time."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._compute())
        except BaseException as error:
            self._error = error
