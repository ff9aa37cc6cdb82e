"""Between pictures, uint8 [B, H, W, 3], and the images networks see, float32 [B, 3, H, W] in [-1, 1] (Wen 2019, §4)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_images(pictures: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """(x − 127.5) / 127.5 of every number; those of bool [B] `mirrored` left for right."""
    images = (pictures.permute(0, 3, 1, 2).float() - 127.5) / 127.5
    if mirrored is None:
        return images
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def as_pictures(images: Tensor) -> NDArray[np.uint8]:
    """The way back, clamped and rounded."""
    numbers = images.detach().float().clamp(-1, 1).mul(127.5).add(127.5).round().byte()
    return np.ascontiguousarray(numbers.permute(0, 2, 3, 1).cpu().numpy())
