"""Seeds that one environment variable moves all at once.

A test of learning is worth something only if it does not hang on one draw: with `VOXFACE_TEST_SEED=1` every training and all
that is drawn for it begin elsewhere, and the tests have to pass all the same. `tests.cpu_variations` runs them so.
"""

import os
from typing import Final

VARIABLE: Final = "VOXFACE_TEST_SEED"


def varied(seed: int = 0) -> int:
    """`seed` plus the number in `VOXFACE_TEST_SEED`, 0 where it is not set.

    Raises:
        ValueError: the variable holds no whole number.
    """
    return seed + int(os.environ.get(VARIABLE, "0"))
