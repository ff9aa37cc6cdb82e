"""A line on a terminal: whether one can be drawn over there, how wide it may be, and letters that do nothing else."""

import os
import unicodedata
from collections.abc import Iterable
from typing import Final, TextIO

USUAL_COLUMNS: Final = 80


def draws_over(stream: TextIO) -> bool:
    """Whether a stream is a terminal in which a line can be drawn over another; one that is called "dumb" has no such codes."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def columns_of(stream: TextIO) -> int:
    """How wide a terminal is now."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except (OSError, ValueError):  # none, or one that does not know
        return USUAL_COLUMNS


def printable(text: str) -> str:
    """Text without letters that move the cursor, change the title or cannot be printed: they are escaped, as in "\\n"."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def width_of(text: Iterable[str]) -> int:
    """Columns of text: East Asian letters and emoji take two, accents that follow their letter none."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text
    )


def cut(text: str, columns: int) -> str:
    """As much of the beginning of a text as has room in so many columns."""
    room = columns
    for at, letter in enumerate(text):
        room -= width_of(letter)
        if room < 0:
            return text[:at]
    return text
