"""The number of worker processes that a command asks for."""

import argparse
from typing import Final

MOST_PER_CORE: Final = 4  # processes; each holds the model, so hundreds by mistake take the machine down


def workers_asked(options: argparse.Namespace) -> int:
    """The number of `--workers`, one a core by default.

    Raises:
        UsageError: too few, or too many for this machine.
    """
    from voxface.runtime.errors import UsageError
    from voxface.runtime.processor import usable_cores

    if options.workers is None:
        return usable_cores()
    most = MOST_PER_CORE * usable_cores()
    if not 1 <= options.workers <= most:
        raise UsageError(f"--workers {options.workers}: at least 1, at most {most} on {usable_cores()} cores")
    return int(options.workers)
