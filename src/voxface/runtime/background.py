"""A value that is computed in the background, on a thread of its own."""

from collections.abc import Callable
from copy import copy
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
        self._values: list[T] = []
        self._errors: list[BaseException] = []
        # The thread knows no more of this object than these lists: a circle would keep the value until the collector runs.
        self._thread = Thread(
            target=_run, args=(compute, self._values, self._errors), name="voxface-background", daemon=True
        )
        self._thread.start()

    def result(self) -> T:
        """Waits for the value and returns it. An exception of `compute` is raised here, each time."""
        self._thread.join()
        if self._errors:
            raise _again(self._errors[0])
        return self._values[0]


def _run(compute: Callable[[], T], values: list[T], errors: list[BaseException]) -> None:
    try:
        values.append(compute())
    except BaseException as error:
        # Without this function's own part of the traceback, which holds the lists.
        errors.append(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
    finally:
        del compute, values, errors  # the rest of the traceback leads back here


def _again(error: BaseException) -> BaseException:
    """A copy, since an exception holds every function that it was raised through."""
    try:
        again = copy(error)
    except Exception:  # it cannot be copied
        return error
    again.__cause__, again.__suppress_context__ = error.__cause__, error.__suppress_context__
    return again.with_traceback(error.__traceback__)
