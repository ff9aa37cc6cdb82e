"""Figures of the suites: one look, labelled axes with units, PNG that is readable in print."""

import atexit
import io
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart in grey and by the colour-blind (Okabe and Ito 2008).
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
INK: Final = "#222222"
DPI: Final = 160


def axes(title: str, x: str, y: str, size: tuple[float, float] = (5.6, 3.6)) -> "tuple[Figure, Axes]":
    """A figure with one pair of axes.

    Args:
        title: what it shows.
        x, y: labels with units, "speech heard (s)".
        size: inches.
    """
    figure, (one,) = panels(title, 1, size)
    one.set_xlabel(x)
    one.set_ylabel(y)
    return figure, one


def panels(title: str, count: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    """A figure with axes side by side, which the caller labels."""
    figure = empty(size, layout="constrained")
    figure.suptitle(title, fontsize=10, color=INK)
    every = [figure.add_subplot(1, count, k + 1) for k in range(count)]
    for one in every:
        one.grid(visible=True, color="#dddddd", linewidth=0.6)
        one.set_axisbelow(True)
        one.tick_params(labelsize=8)
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
    return figure, every


def empty(size: tuple[float, float], layout: "Literal['constrained'] | None" = None) -> "Figure":
    """An empty figure that needs no display; size in inches."""
    _keep_no_settings()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _keep_no_settings() -> None:
    """Lets matplotlib keep its list of fonts in a folder that goes with the process, and not in the user's home.

    It is told by an environment variable, which counts when it is first imported; a variable of the user's stays.
    """
    if "matplotlib" not in sys.modules and "MPLCONFIGDIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="voxface-matplotlib-")
        os.environ["MPLCONFIGDIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def png(figure: "Figure") -> bytes:
    """The figure as a PNG file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
