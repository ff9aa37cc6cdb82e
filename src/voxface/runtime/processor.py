"""How many threads numpy's matrix products (BLAS) are shared among. Imports no numpy: it looks when it is imported.

The products of a live session are small, and the threads that a BLAS would share them among spin while they wait: with them
an idle session used half a core, and one product took 12 ms on a busy machine.
"""

import os
import sys
from functools import cache
from typing import Final

_THREADS: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def ask_for_one_thread() -> None:
    """Unless the user has asked for a number, or numpy, which looks once, is there already."""
    if "numpy" not in sys.modules:
        for name in _THREADS:
            os.environ.setdefault(name, "1")


@cache
def has_one_thread() -> bool:
    """Whether one was asked for, whichever BLAS this is; numpy does not look again either."""
    asked = [os.environ[name] for name in _THREADS if name in os.environ]
    return bool(asked) and all(threads == "1" for threads in asked)
