"""How many threads numpy's matrix products (BLAS) are shared among. Imports no numpy: it looks when it is imported.

The products of a live session are small, and the threads that a BLAS would share them among spin while they wait: with them
an idle session used half a core, and one product took 12 ms on a busy machine.
"""

import os
from functools import cache
from typing import Final

_THREADS: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def ask_for_one_thread() -> None:
    """Unless the user has asked for a number; to be called before numpy is imported."""
    for name in _THREADS:
        os.environ.setdefault(name, "1")


@cache
def has_one_thread() -> bool:
    """Whether one was asked for; numpy does not look again either."""
    return any(os.environ.get(name) == "1" for name in _THREADS)
