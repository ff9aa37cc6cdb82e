"""How large two square pictures side by side are in a terminal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Two pictures.

    Attributes:
        side: pixels of each; 0: there is no room for any.
        rows: lines of text that they cover.
    """

    side: int
    rows: int


NOTHING = Layout(0, 0)


def in_half_blocks(columns: int, rows: int) -> Layout:
    """Of half blocks, which are a pixel wide and two high, with an empty column between the pictures; `columns` and `rows` may
    be covered."""
    side = min((columns - 1) // 2, 2 * rows) // 2 * 2
    return Layout(side, side // 2) if side >= 2 else NOTHING


def in_pixels(columns: int, rows: int, cell: tuple[int, int], *, gap: int, most: int, step: int = 1) -> Layout:
    """Of pixels.

    Args:
        columns, rows: cells of text that may be covered.
        cell: width and height of each, in pixels.
        gap: pixels between the pictures.
        most: the largest side.
        step: what the side is a multiple of.
    """
    side = min((columns * cell[0] - gap) // 2, rows * cell[1], most) // step * step
    return Layout(side, -(-side // cell[1])) if side >= max(step, 2) else NOTHING
