"""Numbers of a mesh's vertices, such as millimetres of uncertainty, as colours, and a picture of them with a scale bar."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.rasteriser import BACKGROUND, preview

Float32 = NDArray[np.float32]
# From 0 to the largest, evenly spaced, sRGB: dark blue over green to light yellow. Lightness rises evenly, so that the order
# can be seen in black and white, and without telling red from green.
COLOURS: Final = ((38, 32, 98), (42, 98, 142), (32, 148, 126), (122, 196, 78), (250, 230, 70))
_BAR, _GAP = 14, 10  # pixels


def heat_colours(values: Float32, largest: float) -> Float32:
    """Colours float32 [..., 3] in [0, 1], sRGB, of values float32 [...]; those beyond 0 to `largest` get the end's."""
    stops = np.array(COLOURS, np.float32) / 255
    at = np.clip(values / largest if largest > 0 else np.zeros_like(values), 0, 1) * (len(stops) - 1)
    before = np.minimum(at.astype(np.int64), len(stops) - 2)
    part = (at - before)[..., None]
    mixed: Float32 = (stops[before] * (1 - part) + stops[before + 1] * part).astype(np.float32)
    return mixed


def scale_end(values: Float32) -> float:
    """The end of a scale that holds all values: a whole number, at least 1."""
    return float(max(1, np.ceil(values.max(initial=0.0))))


def heat_map(
    vertices: Float32, triangles: NDArray[np.int32], values: Float32, largest: float, *, yaws: Sequence[float]
) -> NDArray[np.uint8]:
    """Views of a mesh in the colours of its values, above a bar of the colours from 0 (left) to `largest` (right).

    Args:
        vertices: float32 [N, 3], millimetres.
        triangles: int32 [F, 3].
        values: float32 [N].
        largest: the value at the right end of the bar.
        yaws: degrees that the head is turned by, for each view.

    Returns:
        uint8 [H, W, 3].
    """
    colours = heat_colours(values, largest)
    views = np.concatenate([preview(vertices, triangles, colours, yaw=yaw) for yaw in yaws], axis=1)
    bar = np.empty((_BAR + 2 * _GAP, views.shape[1], 3), np.uint8)
    bar[:] = BACKGROUND
    ramp = heat_colours(np.linspace(0, 1, views.shape[1] - 2 * _GAP, dtype=np.float32), 1.0)
    bar[_GAP : _GAP + _BAR, _GAP:-_GAP] = np.rint(ramp * 255)
    return np.concatenate([views, bar])
