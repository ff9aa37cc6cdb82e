"""The flat part of the window, drawn pixel by pixel: face image, status lines, waveform."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.lettering import Lettering
from voxface.runtime.face.heat_map import heat_colours
from voxface.runtime.face.resize import resized

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 480, 720  # pixels at scale 1, as all of these
BACKGROUND, INK, QUIET, VOICE = (28, 30, 34), (225, 228, 232), (96, 104, 116), (96, 190, 140)
FACE: Final = 400
MARGIN: Final = 40
WAVE: Final = 64
TEXT: Final = 23  # about 6 mm on a desk's screen: it can be read from a metre away
LINE: Final = 31
SMALL: Final = 17
BARS: Final = 100  # peaks of the waveform


def panel(
    face: Picture | None, lines: Sequence[str], peaks: Sequence[float], *, speaking: bool, scale: float = 1.0
) -> Picture:
    """The panel, uint8 [HEIGHT · scale, WIDTH · scale, 3].

    Args:
        face: uint8 [S, S, 3], best as large as it is shown (`face_side`): resizing takes the most time; None: none yet.
        lines: what to write under it; parts between two spaces stay together.
        peaks: 0 to 1, the newest last: the waveform.
        speaking: its colour.
        scale: pixels of the screen for each of an ordinary one.
    """

    def px(length: float) -> int:
        return round(length * scale)

    image = _ground(px(HEIGHT), px(WIDTH)).copy()
    left, side, right = px(MARGIN), px(FACE), px(WIDTH - MARGIN)
    if face is not None:
        image[left : left + side, left : left + side] = face if face.shape == (side, side, 3) else resized(face, side)
    letters = lettering(px(TEXT))
    y, bottom = left + side + px(14), px(HEIGHT - 16 - WAVE)
    for line in packed(lines, letters, right - left):
        if y + px(LINE) > bottom:
            break
        letters.write(image, line, left, y, INK)
        y += px(LINE)
    middle = px(HEIGHT - 12 - WAVE / 2)
    image[middle, left:right] = QUIET
    newest: Any = list(peaks)[-BARS:]
    step = (right - left) / BARS
    for k, peak in enumerate(newest):
        half = round(min(1.0, peak) * px(WAVE) / 2)
        x = left + round(k * step)
        image[middle - half : middle + half + 1, x : x + max(1, round(step / 2))] = VOICE if speaking else QUIET
    return image


def face_side(scale: float = 1.0) -> int:
    """How large the face is in a panel, in pixels."""
    return round(FACE * scale)


def packed(lines: Sequence[str], letters: Lettering, width: int) -> list[str]:
    """Lines of at most so many pixels, if their parts are not longer than that: parts that two spaces separate stay whole."""
    packed: list[str] = []
    for line in lines:
        fresh = True
        for part in (part for part in line.split("  ") if part.strip()):
            longer = f"{packed[-1]}   {part.strip()}" if packed else ""
            if fresh or letters.width(longer) > width:
                packed.append(part.strip())
            else:
                packed[-1] = longer
            fresh = False
    return packed


def scale_bar(image: Picture, largest: float, scale: float = 1.0) -> None:
    """Draws the colours of a heat map from 0 to `largest` millimetres above the face of a panel."""

    def px(length: float) -> int:
        return round(length * scale)

    left, side = px(MARGIN), px(FACE)
    ramp = heat_colours(np.linspace(0, 1, side, dtype=np.float32), 1.0)
    image[px(4) : px(14), left : left + side] = np.rint(ramp * 255)
    letters = lettering(px(SMALL))
    what, end = "may be off by", f"{largest:g} mm"
    letters.write(image, "0 mm", left, px(17), INK)
    letters.write(image, what, left + (side - letters.width(what)) // 2, px(17), INK)
    letters.write(image, end, left + side - letters.width(end), px(17), INK)


@lru_cache(maxsize=2)
def _ground(height: int, width: int) -> Picture:
    """An empty panel: copying it takes a tenth of the time of filling one."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = BACKGROUND
    return image


@lru_cache(maxsize=8)
def lettering(size: int) -> Lettering:
    """Letters of a size, made once."""
    return Lettering(size)
