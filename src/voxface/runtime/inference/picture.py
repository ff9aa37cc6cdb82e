"""The picture of a face, kept as a network gave it until its pixels are asked for: not every sink shows every face."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Picture:
    """A picture. Estimates that show the same picture share it, so that its pixels are computed once. May be used by several
    threads."""

    def __init__(self, planes: Float32) -> None:
        """Args:
        planes: a network's image float32 [3, S, S], of which values beyond [-1, 1] are clamped; kept, so not to be changed.

        Raises:
            FloatingPointError: a value is NaN.
        """
        least = float(np.minimum.reduce(planes, axis=None, initial=0.0))  # NaN if there is one
        if least != least:  # noqa: PLR0124 - only NaN differs from itself
            raise FloatingPointError("the picture holds values that are no numbers")
        # One that is cut from those of many voices would keep all of them.
        alone = planes.base is None or planes.base.nbytes <= planes.nbytes
        self._planes: Float32 | None = planes if alone else planes.copy()
        self._pixels: Pixels | None = None

    @classmethod
    def of_pixels(cls, pixels: Pixels) -> Self:
        """A picture whose pixels uint8 [S, S, 3] are known."""
        picture = object.__new__(cls)
        picture._planes, picture._pixels = None, pixels
        return picture

    @property
    def pixels(self) -> Pixels:
        """The picture, uint8 [S, S, 3], RGB."""
        planes = self._planes
        if planes is not None:
            self._pixels = to_pixels(planes)
            self._planes = None  # only now, since another thread may ask too
        assert self._pixels is not None
        return self._pixels

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the pixels."""
        return {"_planes": None, "_pixels": self.pixels}


def to_pixels(planes: Float32) -> Pixels:
    """A network's image float32 [3, H, W] without NaN, clamped to [-1, 1], as uint8 [H, W, 3]."""
    levels = planes * np.float32(127.5)
    levels += np.float32(128)  # 127.5, and 0.5 because the conversion to uint8 cuts instead of rounding
    np.minimum(levels, np.float32(255.5), out=levels)
    np.maximum(levels, np.float32(0.5), out=levels)
    levels_of_planes = levels.astype(np.uint8)
    pixels = np.empty((*levels.shape[1:], len(levels)), np.uint8)
    for channel, plane in enumerate(levels_of_planes):  # one transposed copy of all three takes longer
        pixels[:, :, channel] = plane
    return pixels
