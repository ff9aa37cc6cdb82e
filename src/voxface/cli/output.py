"""Output that all verbs share: a JSON document, an error line, a progress bar on a terminal."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from voxface.cli.terminal_line import columns_of, cut, draws_over, printable, width_of

_BAR: Final = 24  # columns
_LABEL: Final = 24  # columns of a label, for which a bar is made narrower
_NARROW_BAR: Final = 4  # a narrower one says nothing
PLAIN_S: Final = 60.0  # between lines about progress where nobody watches


class Documents:
    """The JSON documents of a command, of which there is exactly one if `--json` was given, also if the command fails.

    Attributes:
        asked: whether the command was given `--json`.
        printed: whether it has been printed.
    """

    asked = False
    printed = False


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    Documents.printed = True
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def error_json(message: str, exit_code: int, file: Path | None = None, **more: Any) -> dict[str, Any]:
    """A failure as an entry of "errors" in a document; `file`: what it is about, if that is one of several inputs."""
    return {"file": None if file is None else str(file), "exit_code": exit_code, "message": message, **more}


def fail_json(asked: bool, message: str, exit_code: int) -> None:
    """If `--json` was asked for, prints the document of a command that failed as a whole, unless it has printed one."""
    if asked and not Documents.printed:
        print_json({"errors": [error_json(message, exit_code)]})


def complain(message: str) -> None:
    """Prints one line on standard error; characters of file names that cannot be printed are escaped."""
    tell(f"voxface: error: {printable(message)}\n")


def warn(message: str) -> None:
    """Prints one line on standard error about what works, but not in full."""
    tell(f"voxface: warning: {printable(message)}\n")


def tell(text: str) -> None:
    """Writes text on standard error. Where it cannot be written, as to a terminal that has been closed, it is left out, and so
    is all that follows: how a command ends must not depend on that."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)


class Progress:
    """How far a command is, on standard error: a bar with the time left while that is a terminal.

    Where it is none, long work says in a line a minute how far it is, unless the command was asked for JSON. Work of one step
    shows nothing.
    """

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._watched = draws_over(sys.stderr)
        self._label, self._phase = "", ""
        self._born = self._told = time.monotonic()
        self._began: tuple[float, int] | None = None
        self._shown = False

    def step(self, label: str = "") -> None:
        """One more is done."""
        self._began = self._began or (self._born, 0)
        self._done += 1
        self._show(f"{self._left(time.monotonic())}{label}")

    def phase(self, done: int, total: int, what: str = "", /) -> None:
        """`done` of `total` are done of a phase `what`, or of the work itself without one; the rate begins anew with each."""
        if what != self._phase:
            self._phase, self._began = what, None
        self.at(done, total)

    def at(self, done: int, total: int, label: str | None = None) -> None:
        """`done` of `total` are done. Shows `label`; without one, time left, rate and the last step line of `say`."""
        if label is not None:
            self._done, self._total = done, total
            self._show(label)
            return
        now = time.monotonic()
        if self._began is None:  # the first one may be far along, after --resume
            self._began = now, done
        self._done, self._total = done, total
        self._show(f"{self._left(now, rate=True)}{self._label}")

    def say(self, text: str) -> None:
        """Prints a line on standard error above the bar; a line that begins with "step " goes into the bar."""
        if self._watched and self._total > 1 and text.startswith("step "):
            self._label = text.partition(": ")[2]
            return
        clear = "\r\033[K" if self._watched else ""
        tell(f"{clear}{text}\n")

    def _left(self, now: float, *, rate: bool = False) -> str:
        """How much longer it takes, "2 min left, " or with the rate "2 min left, 5/s "; "" while that cannot be told."""
        since, first = self._began or (now, 0)
        each = (self._done - first) / (now - since) if self._done > first and now > since else 0.0
        if not each or (self._done >= self._total and not rate):
            return ""
        left = f"{_duration((self._total - self._done) / each)} left, "
        return f"{left}{each:.3g}/s " if rate else left

    def _show(self, label: str) -> None:
        if self._total <= 1:
            return
        what = printable(self._phase or self._what)
        if self._watched:
            # One column is left free: in the last one some terminals begin a new line, and the next bar would be below.
            tell(f"\r{self._line(what, printable(label), columns_of(sys.stderr) - 1)}\033[K")
            self._shown = True
        elif not Documents.asked and (now := time.monotonic()) - self._told >= PLAIN_S:
            self._told = now
            tell(f"{what}: {self._done} of {self._total} {printable(label)}".rstrip(" ,") + "\n")

    def _line(self, what: str, label: str, columns: int) -> str:
        """The bar and what is about it in so many columns: how far it is comes first, then what it is, label, and bar."""
        count = f"{self._done}/{self._total}"
        what = cut(what, columns - len(count) - 1)
        room = columns - width_of(what) - len(count) - 1  # for bar and label, each with its space
        wide = min(_BAR, room - 1 - min(_LABEL + 1, width_of(label) + 1))
        bar = ""
        if wide >= _NARROW_BAR:
            filled = wide * min(self._done, self._total) // self._total
            bar = f"{'█' * filled}{'·' * (wide - filled)} "
        return cut(f"{what} {bar}{count} {label[:40]}", columns).rstrip()

    def close(self) -> None:
        """Clears the line."""
        if self._shown:
            tell("\r\033[K")


def _duration(seconds: float) -> str:
    """Seconds as people say them: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
