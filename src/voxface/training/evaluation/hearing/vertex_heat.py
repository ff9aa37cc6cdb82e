"""Heat maps: a number for each vertex as a colour on the mean face, from the front and from the side."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.evaluation.figures import INK, empty, png
from voxface.training.faces.render import render

VIEWS: Final = {"from the front": (0.0, 0.0), "from the side": (60.0, 0.0)}
_SIZE: Final = 320  # px
_MOST: Final = (
    0.9  # share of the vertices that the scale covers: the neck, which few look at, would take the rest of it
)


def heat_maps(title: str, model: MorphableModel, values: NDArray[np.floating], label: str) -> bytes:
    """A PNG of the mean face in the colours of values [N], with their scale.

    Args:
        title: what it shows.
        label: of the scale, with unit.
    """
    figure = empty((6.4, 3.3))
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    top = float(np.quantile(values, _MOST))
    scale = Normalize(0.0, top if top > 0 else 1.0)
    colours = colormaps["viridis"](scale(values).clip(0, 1))[:, :3].astype(np.float32)
    figure.suptitle(title, fontsize=10, color=INK)
    for k, (name, view) in enumerate(VIEWS.items()):
        place = figure.add_axes((0.01 + 0.41 * k, 0.02, 0.40, 0.78))
        place.imshow(render(model.mean, model.triangles, colours, size=_SIZE, view=view))
        place.set_title(name, fontsize=8, color=INK)
        place.set_axis_off()
    bar = figure.add_axes((0.86, 0.1, 0.025, 0.7))
    figure.colorbar(ScalarMappable(scale, "viridis"), cax=bar, extend="max")
    bar.tick_params(labelsize=7)
    bar.set_ylabel(label, fontsize=7)
    return png(figure)
