"""What all verbs print alike: one JSON document, a warning, progress when somebody watches."""

import json
import sys
from typing import Any


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def complain(message: str) -> None:
    """One line on standard error."""
    print(f"voxface: error: {message}", file=sys.stderr)


class Progress:
    """A bar on standard error while it is a terminal; nothing otherwise."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._watched = sys.stderr.isatty() and total > 1

    def step(self, label: str = "") -> None:
        """One more is done."""
        self._done += 1
        if self._watched:
            filled = 24 * self._done // self._total
            bar = "█" * filled + "·" * (24 - filled)
            print(
                f"\r{self._what} {bar} {self._done}/{self._total} {label[:40]:<40}", end="", file=sys.stderr, flush=True
            )

    def close(self) -> None:
        """Clears the line."""
        if self._watched:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
