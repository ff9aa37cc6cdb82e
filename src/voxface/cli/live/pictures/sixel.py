"""Pictures as sixels, the graphics of DEC's VT340 that xterm, foot, WezTerm, Windows Terminal and others draw."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.pictures.layout import Layout, in_pixels
from voxface.cli.live.pictures.palette import palette

Image = NDArray[np.uint8]
COLOURS: Final = 64
BAND: Final = 6  # rows of pixels that a letter stands for
_GAP: Final = 6
_MOST: Final = 300  # pixels of a side: text that a terminal reads letter by letter grows with its square
_REPEATED: Final = re.compile(rb"(.)\1{3,}", re.DOTALL)


class Sixel:
    """Draws with sixels, whose pixels are those of the screen, so the size of a cell must be known."""

    def __init__(self, cell: tuple[int, int]) -> None:
        self._cell = cell
        self._rows = 0

    def layout(self, columns: int, rows: int) -> Layout:
        """Two pictures in so many cells."""
        layout = in_pixels(columns, rows, self._cell, gap=_GAP, most=_MOST, step=BAND)
        self._rows = layout.rows
        return layout

    def paint(self, one: Image, other: Image) -> str:
        """Two pictures uint8 [n, n, 3], from the line of the cursor on; the cursor is below them then."""
        image = np.concatenate([one, np.repeat(other[:, :1], _GAP, axis=1), other], axis=1)
        # Lines first, so that what has to move up has moved before the place of the picture is remembered.
        room = "\r\033[K\n" * self._rows
        return f"{room}\033[{self._rows}A\0337{sixels(image)}\0338\033[{self._rows}B"

    def erase(self) -> str:
        """What is needed besides clearing the lines: nothing."""
        return ""


def sixels(image: Image) -> str:
    """A picture uint8 [H, W, 3] in at most `COLOURS` colours."""
    colours, numbers = palette(image, COLOURS)
    height, width = numbers.shape
    out = [f'\033P0;1q"1;1;{width};{height}']
    shares = np.rint(colours.astype(np.float64) * 100 / 255).astype(int)
    out += [f"#{number};2;{r};{g};{b}" for number, (r, g, b) in enumerate(shares.tolist())]
    for top in range(0, height, BAND):
        band = numbers[top : top + BAND]
        bits = (1 << np.arange(len(band), dtype=np.uint8))[:, None]
        parts = []
        for number in np.flatnonzero(np.bincount(band.ravel(), minlength=len(colours))).tolist():
            letters = ((band == number) * bits).sum(0, dtype=np.uint8)
            last = int(np.flatnonzero(letters)[-1])
            row = _REPEATED.sub(_shorter, (letters[: last + 1] + 63).tobytes()).decode("ascii")
            parts.append(f"#{number}{row}")
        out.append("$".join(parts) + "-")
    return "".join(out) + "\033\\"


def _shorter(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])
