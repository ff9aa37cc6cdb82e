"""Steps of a long measurement under a budget of time: what fails or finds no time is said and left out, and the result is
written after every step, so that a machine that is taken away leaves what was measured so far."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from voxface.runtime.files.atomic import write_bytes

Found = TypeVar("Found")
LONGEST = 300  # letters of a reason


class Steps:
    """The steps of one measurement.

    Attributes:
        measured: what was found, by step; steps may add to it.
        left_out: step -> why it is not in `measured`.
        seconds: how long each step took.
    """

    def __init__(
        self,
        budget_s: float,
        out: Path | None,
        document: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        budget_s: seconds from now, after which no further step begins.
        out: the file that is written after every step; None: nothing is written.
        document: makes of the results what is written.
        now: the clock, in seconds.
        """
        self.measured: dict[str, Any] = {}
        self.left_out: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self._now, self._ends, self._out, self._document = now, now() + budget_s, out, document

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left; negative: it is exceeded."""
        return self._ends - self._now()

    def do(self, name: str, work: Callable[[], Found], *, least_s: float = 5.0) -> Found | None:
        """Does a step, unless less than `least_s` is left; returns what it gave, or None if it failed or was left out."""
        if self.left_s < least_s:
            self.leave_out(name, f"{max(0.0, self.left_s):.0f} s of the budget were left, {least_s:.0f} s are wanted")
            return None
        began = self._now()
        try:
            return work()
        except Exception as error:  # a library may fail in any way, and what comes after it is measured all the same
            self.leave_out(name, reason_of(error))
            return None
        finally:
            self.seconds[name] = round(self._now() - began, 2)
            print(f"{name}: {self.seconds[name]:.1f} s, {self.left_s:.0f} s left", file=sys.stderr, flush=True)
            self.write()

    def leave_out(self, name: str, why: str) -> None:
        """Notes that a step, or a part of one, gave nothing."""
        self.left_out[name] = why
        print(f"{name}: left out: {why}", file=sys.stderr, flush=True)
        self.write()

    def to_json(self) -> dict[str, Any]:
        """Everything so far."""
        return {**self.measured, "left_out": self.left_out, "seconds": self.seconds}

    def write(self) -> None:
        """Writes everything so far."""
        if self._out is not None:
            write_bytes(self._out, json.dumps(self._document(self.to_json()), indent=1).encode() + b"\n")


def reason_of(error: Exception) -> str:
    """The first line of an error, with its class where it is not one of ours."""
    text = next(iter(str(error).strip().splitlines()), "")[:LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
