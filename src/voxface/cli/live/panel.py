"""The flat part of the window, drawn pixel by pixel: face image, status lines, waveform. No font library is needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.heat_map import heat_colours
from voxface.runtime.face.resize import resized

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 320, 480
BACKGROUND, INK, QUIET, VOICE = (28, 30, 34), (225, 228, 232), (96, 104, 116), (96, 190, 140)
FACE = 256
MARGIN = 32
WAVE = 56
LINE = 11

# Each letter is seven rows of five dots, a row a number from 0 to 31.
_DOTS = {
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
_LETTERS = {
    letter: np.array([[int(row) >> (4 - k) & 1 for k in range(5)] for row in rows.split()], bool)
    for letter, rows in _DOTS.items()
}


def write(image: Picture, text: str, x: int, y: int, colour: tuple[int, int, int] = INK) -> None:
    """Writes text, small letters as capitals, at pixel (x, y); what does not fit is cut."""
    for k, letter in enumerate(text.lower()):
        dots = _LETTERS.get(letter)
        left = x + 6 * k
        if dots is not None and left + 5 <= image.shape[1] and y + 7 <= image.shape[0]:
            image[y : y + 7, left : left + 5][dots] = colour


def panel(face: Picture | None, lines: Sequence[str], peaks: Sequence[float], *, speaking: bool) -> Picture:
    """The panel, uint8 [HEIGHT, WIDTH, 3].

    Args:
        face: uint8 [S, S, 3]; None: none yet.
        lines: what to write under it.
        peaks: 0 to 1, the newest last: the waveform.
        speaking: its colour.
    """
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = BACKGROUND
    if face is not None:
        image[MARGIN : MARGIN + FACE, MARGIN : MARGIN + FACE] = resized(face, FACE)
    y = MARGIN + FACE + 12
    for line in lines:
        write(image, line, MARGIN, y)
        y += LINE
    middle = HEIGHT - 12 - WAVE // 2
    image[middle, MARGIN : MARGIN + FACE] = QUIET
    newest: Any = list(peaks)[-FACE // 2 :]
    for k, peak in enumerate(newest):
        half = round(min(1.0, peak) * WAVE / 2)
        x = MARGIN + 2 * k
        image[middle - half : middle + half + 1, x] = VOICE if speaking else QUIET
    return image


def scale_bar(image: Picture, largest: float) -> None:
    """Draws the colours of a heat map from 0 to `largest` millimetres above the face of a panel."""
    image[4:12, MARGIN : MARGIN + FACE] = np.rint(heat_colours(np.linspace(0, 1, FACE, dtype=np.float32), 1.0) * 255)
    write(image, "0 mm", MARGIN, 16)
    end = f"{largest:g} mm"
    write(image, "how far it may be off", MARGIN + (FACE - 6 * 21) // 2, 16)
    write(image, end, MARGIN + FACE - 6 * len(end), 16)
