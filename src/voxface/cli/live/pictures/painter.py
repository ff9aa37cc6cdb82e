"""What draws the pictures in a terminal, and which one it is."""

import os
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.pictures.asking import TerminalSays, ask_terminal
from voxface.cli.live.pictures.half_blocks import HalfBlocks
from voxface.cli.live.pictures.kitty import Kitty
from voxface.cli.live.pictures.layout import NOTHING, Layout
from voxface.cli.live.pictures.sixel import Sixel

Wanted = Literal["auto", "kitty", "sixel", "blocks", "none"]
WANTED: Final[tuple[Wanted, ...]] = get_args(Wanted)
_USUAL_CELL: Final = (10, 20)


class Painter(Protocol):
    """Draws two square pictures side by side."""

    def layout(self, columns: int, rows: int) -> Layout: ...

    def paint(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> str: ...

    def erase(self) -> str: ...


class NoPictures:
    """Draws nothing."""

    def layout(self, columns: int, rows: int) -> Layout:
        """No room is taken."""
        return NOTHING

    def paint(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> str:
        """Nothing."""
        return ""

    def erase(self) -> str:
        """Nothing."""
        return ""


def choose_painter(
    wanted: Wanted,
    *,
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[], TerminalSays] = ask_terminal,
) -> Painter:
    """What draws pictures as wanted.

    "auto" asks the terminal: kitty's graphics where it has them, else sixels, else half blocks; and letters without colours
    where NO_COLOR is set (no-color.org).
    """
    if wanted == "none":
        return NoPictures()
    if wanted == "blocks" or (wanted == "auto" and environment.get("NO_COLOR")):
        return HalfBlocks(colours=not environment.get("NO_COLOR"))
    says = ask()
    if wanted == "kitty" or (wanted == "auto" and says.kitty):
        return Kitty(says.cell)
    if wanted == "sixel" or (says.sixel and says.cell):
        return Sixel(says.cell or _USUAL_CELL)
    return HalfBlocks()
