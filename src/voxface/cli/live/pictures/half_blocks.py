"""Pictures as half blocks, two pixels a letter; without colours as letters of different darkness."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.pictures.layout import Layout, in_half_blocks

Image = NDArray[np.uint8]
DARK_TO_LIGHT: Final = " .:-=+*#%@"  # for a dark ground
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722])


class HalfBlocks:
    """Draws with half blocks in 24-bit colours, or, without colours, with letters alone."""

    def __init__(self, *, colours: bool = True) -> None:
        self._lines = _in_colours if colours else _in_letters

    def layout(self, columns: int, rows: int) -> Layout:
        """Two pictures in so many cells."""
        return in_half_blocks(columns, rows)

    def paint(self, one: Image, other: Image) -> str:
        """Two pictures uint8 [2 n, 2 n, 3], from the line of the cursor on; the cursor is below them then."""
        return "".join(f"\r\033[K{a} {b}\n" for a, b in zip(self._lines(one), self._lines(other), strict=True))

    def erase(self) -> str:
        """What is needed besides clearing the lines: nothing."""
        return ""


def _in_colours(image: Image) -> list[str]:
    """A picture [2 n, m, 3] as n lines, the upper pixel in the foreground; a colour that goes on is not said again."""
    lines = []
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        line, before = [], None
        for a, b in zip(upper, lower, strict=True):
            if (a, b) != before:
                line.append(f"\033[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m")
                before = (a, b)
            line.append("▀")
        lines.append("".join(line) + "\033[0m")
    return lines


def _in_letters(image: Image) -> list[str]:
    """A picture [2 n, m, 3] as n lines of letters, each as light as the two pixels that it stands for."""
    light = (image[::2].astype(np.float64) + image[1::2]) @ _LUMA / 510
    steps = np.minimum(light * len(DARK_TO_LIGHT), len(DARK_TO_LIGHT) - 1).astype(int)
    return ["".join(DARK_TO_LIGHT[step] for step in row) for row in steps.tolist()]
