"""The number of threads within an operator on the CPU."""

from operator import index
from typing import Final, SupportsIndex

from voxface.runtime.errors import UsageError

MOST_THREADS: Final = 256  # an operator gains from as many as there are cores; thousands take the machine down
# A second thread sleeps between two updates of a live stream, and other programs want cores too: it has to be measured before
# it is used (`voxface doctor --measure`).
UNMEASURED: Final = 1


def checked_threads(threads: int | None) -> int:
    """The number of threads within an operator; None: one.

    Raises:
        UsageError: no number of threads.
    """
    if threads is None:
        return UNMEASURED
    if not (isinstance(threads, SupportsIndex) and 1 <= index(threads) <= MOST_THREADS):
        raise UsageError(f"{threads!r} threads: at least 1, at most {MOST_THREADS}")
    return index(threads)
