"""Pictures in another size, by bicubic interpolation (Keys 1981, with a = −1/2), for screens and documentation."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A picture uint8 [H, W, 3] as uint8 [size, size, 3].

    Where it becomes smaller, the kernel is as much wider, so that each pixel is a mean of those it stands for.
    """
    height, width, _ = picture.shape
    planes = picture.transpose(2, 0, 1).astype(np.float32)
    levels = np.rint((_weights(height, size) @ planes @ _weights(width, size).T).clip(0, 255))
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))


@lru_cache(maxsize=8)
def _weights(count: int, size: int) -> NDArray[np.float32]:
    """The share of each of `count` pixels in each of `size`, float32 [size, count]; each row sums to 1, at the ends too."""
    wider = max(1.0, count / size)
    middle = (np.arange(size) + 0.5) * count / size - 0.5
    x = np.abs(np.arange(count) - middle[:, None]) / wider
    near, far = (1.5 * x - 2.5) * x * x + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    shares: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return shares
