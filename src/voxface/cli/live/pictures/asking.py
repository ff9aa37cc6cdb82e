"""What a terminal says of itself when it is asked: whether it draws pictures, and how large its cells are."""

import os
import re
import select
import time
from dataclasses import dataclass
from typing import Final

PATIENCE_S: Final = 1.0  # terminals answer within milliseconds; over a slow line it takes as long as the line
# Kitty's question about a picture of one pixel, which is not shown; the size of a cell; and, last, what every terminal answers.
QUESTIONS: Final = b"\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\\033[16t\033[c"
MOST: Final = 4096  # bytes of answers that are read

_KITTY: Final = re.compile(rb"\033_Gi=31;OK\033\\")
_CELL: Final = re.compile(rb"\033\[6;(\d{1,4});(\d{1,4})t")
_ATTRIBUTES: Final = re.compile(rb"\033\[\?([\d;]*)c")


@dataclass(frozen=True)
class TerminalSays:
    """The answers of a terminal.

    Attributes:
        kitty: whether it has kitty's graphics.
        sixel: whether it has sixels.
        cell: width and height of a cell of text in pixels; None: it does not say.
        all: whether the last answer has come.
    """

    kitty: bool = False
    sixel: bool = False
    cell: tuple[int, int] | None = None
    all: bool = False


def understood(answers: bytes) -> TerminalSays:
    """What the answers so far mean; whatever is in between is left alone."""
    attributes, cell = _ATTRIBUTES.search(answers), _CELL.search(answers)
    size = (int(cell[2]), int(cell[1])) if cell else None
    return TerminalSays(
        kitty=_KITTY.search(answers) is not None,
        sixel=attributes is not None and b"4" in attributes[1].split(b";")[1:],
        cell=size if size and min(size) > 0 else None,
        all=attributes is not None,
    )


def ask_terminal(patience_s: float = PATIENCE_S) -> TerminalSays:
    """Asks the terminal that this program runs in; one that cannot be asked says nothing."""
    if os.environ.get("TERM", "") in ("", "dumb") or os.name != "posix":
        return TerminalSays()
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return TerminalSays()
    try:
        if (
            os.tcgetpgrp(terminal) != os.getpgrp()
        ):  # in the background, where changing its settings would stop the program
            return TerminalSays()
        return ask(terminal, patience_s)
    except OSError:
        return TerminalSays()
    finally:
        os.close(terminal)


def ask(terminal: int, patience_s: float) -> TerminalSays:
    """Asks at a file descriptor, and leaves the terminal's settings as they were.

    What was typed meanwhile is lost. Answers that come too late are, to whoever reads the terminal next, as if typed.

    Raises:
        OSError: it is no terminal, or gone.
    """
    import termios

    try:
        before = termios.tcgetattr(terminal)
        quiet = termios.tcgetattr(terminal)
        quiet[3] &= ~(termios.ICANON | termios.ECHO)  # letter by letter, and not shown; signals of the keyboard stay
        termios.tcsetattr(terminal, termios.TCSANOW, quiet)
        try:
            os.write(terminal, QUESTIONS)
            return _read(terminal, time.monotonic() + patience_s)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    except termios.error as error:
        raise OSError(*error.args) from error


def _read(terminal: int, end: float) -> TerminalSays:
    answers = b""
    while len(answers) < MOST and not understood(answers).all:
        if not select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
            break
        read = os.read(terminal, 256)
        if not read:
            break
        answers += read
    return understood(answers)
