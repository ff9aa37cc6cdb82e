"""`--threads`, wherever it is taken."""

from typing import Final

MOST: Final = 256  # an operator gains from as many as there are cores; thousands take the machine down


def check_threads(threads: int | None) -> None:
    """Raises UsageError for a number of threads that cannot be; None: the engine's own choice."""
    from voxface.runtime.errors import UsageError

    if threads is not None and not 1 <= threads <= MOST:
        raise UsageError(f"--threads {threads}: at least 1, at most {MOST}")
