"""Structured logs: a JSON object a line on standard error. They tell of sessions and clips, never what was said or shown."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

FIELDS: Final = (
    "session", "sessions", "reason", "seconds", "faces", "ms", "why", "share", "room",
    "replica", "replicas", "replicas_starting", "replicas_failed",
)  # fmt: skip


class JsonLines(logging.Handler):
    """Writes each record as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; what cannot be written is left out, since a log must not end a server."""
        try:
            sys.stderr.write(json.dumps(line(record), ensure_ascii=True) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def line(record: logging.LogRecord) -> Mapping[str, Any]:
    """A record as JSON: of its fields those that are known to hold no voice and no face."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    found: dict[str, Any] = {
        "time": f"{moment}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "event": " ".join(record.getMessage().split()),
    }
    found |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
    if record.exc_info:
        found["traceback"] = logging.Formatter().formatException(record.exc_info)
    return found


def log_as_json(level: int = logging.INFO) -> None:
    """Logs of voxface and of uvicorn's failures go to standard error as JSON."""
    handler = JsonLines()
    for name, least in (("voxface", level), ("uvicorn.error", logging.ERROR), ("websockets", logging.CRITICAL)):
        logger = logging.getLogger(name)
        logger.setLevel(least)
        logger.propagate = False
        logger.handlers = [handler]
    logging.getLogger("uvicorn.error").addFilter(_is_failure)


def _is_failure(record: logging.LogRecord) -> bool:
    """Whether a record tells of a failure: uvicorn calls it an error that a WebSocket was refused with an answer of HTTP, so
    anybody without a token could fill a disk."""
    return not record.getMessage().startswith("ASGI callable returned without completing handshake")
