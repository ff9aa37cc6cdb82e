"""The processor: how many cores this process may use, and how many threads numpy's matrix products (BLAS) get.

The products of a live session are small. The threads of a BLAS spin while they wait for the next one: with them an idle session
used half a core, and one product took 12 ms on a busy machine. So a session asks for one thread. This module imports no numpy,
which reads the number of threads once, when it is imported.
"""

import os
import sys
from functools import cache
from typing import Final

_BLAS_THREADS: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def usable_cores() -> int:
    """How many cores this process may use; in a container these are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ask_for_one_thread() -> None:
    """Asks the BLAS for one thread, unless the user has asked for a number or numpy has been imported already."""
    if "numpy" not in sys.modules:
        for name in _BLAS_THREADS:
            os.environ.setdefault(name, "1")


@cache
def has_one_thread() -> bool:
    """Whether one thread was asked for, whichever BLAS numpy has. Read once, as numpy does."""
    asked = [os.environ[name] for name in _BLAS_THREADS if name in os.environ]
    return bool(asked) and all(threads == "1" for threads in asked)
