"""Few colours for a picture: median cut (Heckbert 1982) over colours of 5 bits a channel, split where they differ the most."""

import numpy as np
from numpy.typing import NDArray

_BITS = 5


def palette(image: NDArray[np.uint8], most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The colours uint8 [k, 3] of a picture uint8 [H, W, 3], k ≤ `most` ≤ 256, and of each pixel its number, uint8 [H, W]."""
    flat = image.reshape(-1, 3)
    coarse = (flat >> (8 - _BITS)).astype(np.int64)
    keys = (coarse[:, 0] << 2 * _BITS) | (coarse[:, 1] << _BITS) | coarse[:, 2]
    counts = np.bincount(keys, minlength=1 << 3 * _BITS)
    used = np.flatnonzero(counts)
    weights = counts[used].astype(np.float64)
    sums = np.stack([np.bincount(keys, flat[:, k], len(counts))[used] for k in range(3)], 1)
    points = sums / weights[:, None]
    boxes = [np.arange(len(used))]
    spreads = [_spread(points, weights)]
    while len(boxes) < most:
        widest = max(range(len(boxes)), key=lambda at: spreads[at].sum())
        if spreads[widest].sum() < 1e-6:
            break
        box = boxes[widest]
        axis = int(spreads[widest].argmax())
        middle = np.average(points[box, axis], weights=weights[box])
        low = points[box, axis] <= middle
        halves = [box[low], box[~low]]
        boxes[widest : widest + 1] = halves
        spreads[widest : widest + 1] = [_spread(points[half], weights[half]) for half in halves]
    numbers = np.zeros(len(counts), np.uint8)
    colours = np.empty((len(boxes), 3), np.uint8)
    for number, box in enumerate(boxes):
        numbers[used[box]] = number
        colours[number] = np.rint(np.average(points[box], axis=0, weights=weights[box]))
    return colours, numbers[keys].reshape(image.shape[:2])


def _spread(points: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of squared distances to the mean, along each axis."""
    apart = points - np.average(points, axis=0, weights=weights)
    spread: NDArray[np.float64] = weights @ np.square(apart)
    return spread
