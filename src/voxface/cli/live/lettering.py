"""Text in pictures: in Roboto, which comes with Open3D, else in the font that Pillow has in itself; without Pillow in dots."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
_FONT: Final = "Roboto-Medium.ttf"

# Each letter is seven rows of five dots, a row a number from 0 to 31.
_DOTS: Final = {
    "0": "14 17 19 21 25 17 14", "1": "4 12 4 4 4 4 14", "2": "14 17 1 2 4 8 31", "3": "31 2 4 2 1 17 14",
    "4": "2 6 10 18 31 2 2", "5": "31 16 30 1 1 17 14", "6": "6 8 16 30 17 17 14", "7": "31 1 2 4 8 8 8",
    "8": "14 17 17 14 17 17 14", "9": "14 17 17 15 1 2 12", "a": "14 17 17 31 17 17 17", "b": "30 17 17 30 17 17 30",
    "c": "14 17 16 16 16 17 14", "d": "28 18 17 17 17 18 28", "e": "31 16 16 30 16 16 31", "f": "31 16 16 30 16 16 16",
    "g": "14 17 16 23 17 17 15", "h": "17 17 17 31 17 17 17", "i": "14 4 4 4 4 4 14", "j": "7 2 2 2 2 18 12",
    "k": "17 18 20 24 20 18 17", "l": "16 16 16 16 16 16 31", "m": "17 27 21 21 17 17 17", "n": "17 17 25 21 19 17 17",
    "o": "14 17 17 17 17 17 14", "p": "30 17 17 30 16 16 16", "q": "14 17 17 17 21 18 13", "r": "30 17 17 30 20 18 17",
    "s": "15 16 16 14 1 1 30", "t": "31 4 4 4 4 4 4", "u": "17 17 17 17 17 17 14", "v": "17 17 17 17 17 10 4",
    "w": "17 17 17 21 21 21 10", "x": "17 17 10 4 10 17 17", "y": "17 17 17 10 4 4 4", "z": "31 1 2 4 8 16 31",
    ".": "0 0 0 0 0 12 12", ":": "0 12 12 0 12 12 0", "-": "0 0 0 31 0 0 0", "%": "24 25 2 4 8 19 3",
    "(": "2 4 8 8 8 4 2", ")": "8 4 2 2 2 4 8", ",": "0 0 0 0 12 4 8", "/": "0 1 2 4 8 16 0",
}  # fmt: skip
_LETTERS: Final = {
    letter: np.array([[int(row) >> (4 - k) & 1 for k in range(5)] for row in rows.split()], bool)
    for letter, rows in _DOTS.items()
}


class Lettering:
    """Letters of one size.

    Attributes:
        size: pixels from the top of a line to its bottom, about.
    """

    def __init__(self, size: int, *, dots: bool = False) -> None:
        """`dots`: whether to write in dots although there is a font."""
        self.size = size
        self._font = None if dots else _font(size)
        self._dot = max(1, size // 9)  # pixels of a dot

    def width(self, text: str) -> int:
        """Pixels of a text."""
        if self._font is not None:
            return int(np.ceil(self._font.getlength(_plain(text))))
        return 6 * self._dot * len(text)

    def write(self, image: Picture, text: str, x: int, y: int, colour: Colour) -> None:
        """Writes text with its top left at pixel (x, y) of a picture uint8 [H, W, 3]; what does not fit is cut."""
        if not text or not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]):
            return
        mask = self._in_font(text) if self._font is not None else self._in_dots(text)
        part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
        share = mask[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
        part[:] = np.rint(part * (1 - share) + np.array(colour, np.float32) * share)

    def _in_font(self, text: str) -> NDArray[np.uint8]:
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (self.width(text) + 2, round(1.3 * self.size)))
        ImageDraw.Draw(canvas).text((0, 0), _plain(text), fill=255, font=self._font)
        return np.asarray(canvas)

    def _in_dots(self, text: str) -> NDArray[np.uint8]:
        mask = np.zeros((7, 6 * len(text)), np.uint8)
        for k, letter in enumerate(text.lower()):  # small letters as capitals
            if letter in _LETTERS:
                mask[:, 6 * k : 6 * k + 5][_LETTERS[letter]] = 255
        return mask.repeat(self._dot, 0).repeat(self._dot, 1)


def _plain(text: str) -> str:
    """Text in one line: a font has no lines."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    """A font of Pillow; None without it."""
    if importlib.util.find_spec("PIL") is None:
        return None
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(_roboto()), size)
    except (OSError, ValueError, ImportError):  # missing, damaged, or without FreeType
        pass
    try:
        return ImageFont.load_default(size)
    except (OSError, ValueError, ImportError, TypeError):
        return None


def _roboto() -> Path:
    """The font that Open3D has for its own windows; it is found without loading Open3D."""
    spec = importlib.util.find_spec("open3d")
    return Path(spec.origin if spec is not None and spec.origin else "").parent / "resources" / _FONT
