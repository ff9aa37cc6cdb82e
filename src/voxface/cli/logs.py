"""What the library logs, shown on standard error: warnings in one line each, and with VOXFACE_LOG=debug everything.

The library logs under names that begin with "voxface." and installs no handlers; programs that use it decide what they show.
"""

import logging
import os
from typing import Final

from voxface.cli.output import tell
from voxface.runtime.errors import UsageError

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
VARIABLE: Final = "VOXFACE_LOG"


class _StandardError(logging.Handler):
    """Writes each record in one line; below it, with level debug, the traceback that belongs to it."""

    def emit(self, record: logging.LogRecord) -> None:
        line = " ".join(record.getMessage().split())
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        tell(f"voxface: {record.levelname.lower()}: {line}\n" + (f"{trace}\n" if trace else ""))


def show_logs() -> None:
    """Shows what voxface logs from the level that VOXFACE_LOG names on, "warning" if it is not set.

    Raises:
        UsageError: there is no such level.
    """
    name = os.environ.get(VARIABLE, "").strip().lower() or "warning"
    if name not in LEVELS:
        raise UsageError(f"{VARIABLE}={name}: one of {', '.join(LEVELS)}")
    logger = logging.getLogger("voxface")
    logger.setLevel(LEVELS[name])
    logger.propagate = False
    logger.handlers = [_StandardError()]


def log_traceback(error: BaseException) -> None:
    """Logs, at level debug, where `error` was raised."""
    logging.getLogger("voxface.cli").debug("traceback", exc_info=error)
