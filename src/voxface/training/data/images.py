"""Pictures, uint8 [B, H, W, 3], and the images that networks take, float32 [B, 3, H, W] in [-1, 1] (Wen 2019, §4).

Every conversion between the two is here: (x − 127.5) / 127.5 and back.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from voxface.training.data.array_shards import Rows
from voxface.training.data.pairs import Pairs

_HALF_RANGE: Final = 127.5  # and the level that becomes 0


def as_images(pictures: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """Images of pictures; those where bool [B] `mirrored` is true have left and right exchanged."""
    images = pictures.permute(0, 3, 1, 2).to(torch.float32, copy=True)
    images.sub_(_HALF_RANGE).div_(_HALF_RANGE)  # in place: pictures of a whole training take much memory
    if mirrored is None:
        return images
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def as_image_array(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images of pictures as a NumPy array whose memory stays in the order of the pictures, channels last."""
    return ((pictures.astype(np.float32) - _HALF_RANGE) / _HALF_RANGE).transpose(0, 3, 1, 2)


def as_pictures(images: Tensor) -> NDArray[np.uint8]:
    """Pictures of images, clamped and rounded."""
    levels = images.detach().float().clamp(-1, 1).mul(_HALF_RANGE).add(_HALF_RANGE).round().byte()
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def resized(images: Tensor, size: int) -> Tensor:
    """Images [B, 3, H, W] at size × size: each pixel is the mean of the area it covers."""
    if images.shape[2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode="area")


def mean_picture(pictures: Rows, which: NDArray[np.integer[Any]]) -> Tensor:
    """Mean of some of the uint8 pictures [K, H, W, 3] as an image: float32 [3, H, W] in [-1, 1]."""
    return _mean(pictures, which).float()


def mean_colour(pictures: Rows, which: NDArray[np.integer[Any]]) -> Tensor:
    """Mean of all pixels of some of the uint8 pictures [K, H, W, 3] as a colour of images: float32 [3] in [-1, 1]."""
    return _mean(pictures, which).mean((1, 2)).float()


def _mean(pictures: Rows, which: NDArray[np.integer[Any]], batch: int = 1024) -> Tensor:
    sums = np.zeros(pictures.shape[1:], np.int64)
    for begin in range(0, len(which), batch):
        sums += pictures[which[begin : begin + batch]].sum(0, dtype=np.int64)
    return torch.from_numpy(sums / len(which) / _HALF_RANGE - 1).permute(2, 0, 1)


def image_batches(pictures: Rows, which: NDArray[np.integer[Any]], batch: int = 256) -> Iterator[Tensor]:
    """Some of the pictures as images, `batch` at a time."""
    for begin in range(0, len(which), batch):
        yield as_images(torch.from_numpy(pictures[which[begin : begin + batch]]))


def pictures_of(
    pairs: Pairs, people: NDArray[np.int32], rng: np.random.Generator, flip: float = 0.5
) -> NDArray[np.float32]:
    """One picture of each person, mirrored with probability `flip` (Wen 2019: 0.5): float32 [B, 3, H, W] in [-1, 1]."""
    picked = np.array([rng.choice(pairs.pictures_of[int(i)]) for i in people])
    pictures = pairs.pictures[picked]
    mirrored = rng.random(len(pictures)) < flip
    pictures[mirrored] = pictures[mirrored, :, ::-1]
    return as_image_array(pictures)
