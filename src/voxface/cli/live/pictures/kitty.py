"""Pictures by kitty's graphics protocol, which Ghostty, WezTerm and Konsole know too."""

import zlib
from base64 import b64encode
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.pictures.layout import Layout, in_pixels

Image = NDArray[np.uint8]
NUMBER: Final = 23  # of the picture, so that the next one takes its place
CHUNK: Final = 4096  # letters of base64 at a time, as the protocol has it
_GAP: Final = 6
_MOST: Final = 480  # pixels of a side
_USUAL_CELL: Final = (10, 20)


class Kitty:
    """Draws with pictures of 24 bits, which the terminal scales to lines of text."""

    def __init__(self, cell: tuple[int, int] | None) -> None:
        self._cell = cell or _USUAL_CELL
        self._rows = 0

    def layout(self, columns: int, rows: int) -> Layout:
        """Two pictures in so many cells."""
        layout = in_pixels(columns, rows, self._cell, gap=_GAP, most=_MOST)
        if layout.rows:  # whole lines, so that the terminal scales nothing
            rows = min(layout.rows, max(1, layout.side // self._cell[1]))
            layout = Layout(min(layout.side, rows * self._cell[1]), rows)
        self._rows = layout.rows
        return layout

    def paint(self, one: Image, other: Image) -> str:
        """Two pictures uint8 [n, n, 3], from the line of the cursor on; the cursor is below them then."""
        image = np.concatenate([one, np.repeat(other[:, :1], _GAP, axis=1), other], axis=1)
        room = "\r\033[K\n" * self._rows
        return f"{room}\033[{self._rows}A{transmitted(image, self._rows)}\033[{self._rows}B"

    def erase(self) -> str:
        """Removes the picture, which lies above the text."""
        return f"\033_Ga=d,d=I,i={NUMBER},q=2;\033\\"


def transmitted(image: Image, rows: int) -> str:
    """A picture uint8 [H, W, 3], shown where the cursor is and as high as so many lines; the cursor stays, and the terminal
    answers nothing."""
    height, width, _ = image.shape
    data = b64encode(zlib.compress(np.ascontiguousarray(image).tobytes(), 1)).decode("ascii")
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    first = f"a=T,f=24,o=z,s={width},v={height},i={NUMBER},p=1,r={rows},C=1,q=2,"
    return "".join(
        f"\033_G{first if at == 0 else ''}m={int(at + 1 < len(chunks))};{chunk}\033\\"
        for at, chunk in enumerate(chunks)
    )
