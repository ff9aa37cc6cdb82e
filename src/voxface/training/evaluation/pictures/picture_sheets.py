"""Contact sheets: pictures of faces in rows and columns with their names, as one figure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.figures import INK, empty, png

Picture = NDArray[np.uint8]
_INCHES = 0.82  # the side of a picture
_GAP = 0.04  # between pictures, of a side


def sheet(
    title: str,
    rows: Sequence[tuple[str, Sequence[Picture | None]]],
    columns: Sequence[str],
    *,
    apart: int | None = None,
    below: str = "",
) -> bytes:
    """A PNG of pictures uint8 [S, S, 3].

    Args:
        rows: name and pictures of each row; None leaves a place empty.
        columns: names of the columns; "" has none.
        apart: the column before which there is a wider gap, such as that of the real pictures.
        below: what the columns are, such as "speech heard (s)".
    """
    left, top, bottom = 1.35, 0.62, 0.3 if below else 0.08
    step = _INCHES * (1 + _GAP)
    extra = 0.12 if apart is not None else 0.0
    width, height = left + len(columns) * step + extra + 0.1, top + len(rows) * step + bottom
    figure = empty((width, height))
    figure.suptitle(title, x=0.5, y=1 - 0.06 / height, fontsize=9, color=INK, va="top")
    for r, (name, pictures) in enumerate(rows):
        y = height - top - (r + 1) * step
        figure.text(
            (left - 0.08) / width, (y + _INCHES / 2) / height, name, ha="right", va="center", fontsize=7, color=INK
        )
        for c, picture in enumerate(pictures):
            x = left + c * step + (extra if apart is not None and c >= apart else 0.0)
            if r == 0 and columns[c]:
                figure.text(
                    (x + _INCHES / 2) / width,
                    (height - top + 0.05) / height,
                    columns[c],
                    ha="center",
                    fontsize=7,
                    color=INK,
                )
            if picture is None:
                continue
            place = figure.add_axes((x / width, y / height, _INCHES / width, _INCHES / height))
            place.imshow(picture, interpolation="antialiased", vmin=0, vmax=255)
            place.set_axis_off()
    if below:
        across = left + (apart if apart is not None else len(columns)) * step / 2
        figure.text(across / width, 0.1 / height, below, ha="center", fontsize=7, color=INK)
    return png(figure)
