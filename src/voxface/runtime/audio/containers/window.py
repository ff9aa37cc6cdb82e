"""A window on a file: a stretch of it in memory, moved along as its bytes are asked for."""

import re
from typing import BinaryIO, Final

SIZE: Final = 1 << 18


class Window:
    """Bytes up to `end` of a file, for code that reads it from front to back in small steps.

    Attributes:
        end: the byte behind the last one.
    """

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self.end = file, end
        self._first, self._data = 0, b""

    def read(self, at: int, count: int) -> bytes:
        """Bytes from a place on; fewer where the file ends. `count` is small against `SIZE`."""
        if not self._first <= at <= self._first + len(self._data) - count:
            self._load(at)
        inside = at - self._first
        return self._data[inside : inside + count]

    def find(self, pattern: re.Pattern[bytes], at: int, longest: int) -> int | None:
        """The next place from `at` on where a `pattern` of at most `longest` bytes matches; None if none does."""
        while at < self.end:
            if not self._first <= at < self._first + len(self._data) - longest:
                self._load(at)
            found = pattern.search(self._data, at - self._first)
            if found:
                return self._first + found.start()
            after = self._first + len(self._data)
            at = after if after >= self.end or not self._data else after - longest
        return None

    def _load(self, at: int) -> None:
        self._file.seek(at)
        self._first, self._data = at, self._file.read(max(0, min(SIZE, self.end - at)))
