"""How far a long file has been heard, of the one that is waited for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from voxface.cli.output import Progress

LONG_S: Final = 300.0  # of sound: what is shorter has been heard before a bar could be read
_EVERY_S: Final = 0.2


class HearingProgress:
    """A bar of the seconds that were heard. Files are heard in the background, ahead of time; only one of them has the bar."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._bar: Progress | None = None
        self._next = 0.0

    def listen_to(self, file: Path) -> None:
        """From now on this one is waited for."""
        self._file = file

    def of(self, file: Path) -> Callable[[float, float], None]:
        """Who is told how far the hearing of a file is, in seconds of it and of all it has."""

        def heard(done_s: float, whole_s: float) -> None:
            now = time.monotonic()
            if file != self._file or whole_s < LONG_S or now < self._next:
                return
            self._next = now + _EVERY_S
            if self._bar is None:
                self._bar = Progress(round(whole_s), f"hearing {file.name[:40]}, s")
            self._bar.at(round(done_s), round(whole_s))

        return heard

    def close(self) -> None:
        """Clears the bar."""
        self._file = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None
