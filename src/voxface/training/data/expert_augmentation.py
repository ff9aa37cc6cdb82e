"""Augmentation of the expert's renders with shift, blur, noise and colour, because generated pictures are less clean than they.

There is no mirroring: other morphable models than the embedded one have asymmetric modes, whose coefficients would be wrong.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """Largest sizes of the changes; each change is drawn uniformly, per picture.

    Attributes:
        shift: move of the whole picture to either side, in picture heights. Scale is not changed, since size belongs to a face.
        blur: share of the mean of 3×3 pixels, 0 to 1.
        noise: standard deviation, in units of [-1, 1].
        contrast: change of the factor about grey.
        tint: change of the factor of each colour.
        brightness: offset, in units of [-1, 1].
    """

    shift: float = 0.03
    blur: float = 1.0
    noise: float = 0.08
    contrast: float = 0.2
    tint: float = 0.1
    brightness: float = 0.15


def augmented(images: Tensor, pose: Tensor, rng: np.random.Generator, config: Augmentation) -> tuple[Tensor, Tensor]:
    """Changes pictures [B, 3, H, H] in [-1, 1] and their pose numbers [B, 12] at random.

    Returns:
        New tensors (pictures, pose) of the same shapes; a shift changes the translation of the pose too.
    """
    batch, device = len(images), images.device

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (batch, *shape)).astype(np.float32)).to(device)

    shift = drawn(-config.shift, config.shift, 2)
    images, pose = shifted(images, pose, shift)
    share = drawn(0, config.blur, 1, 1, 1)
    images = torch.lerp(images, F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1), share)
    factor = (1 + drawn(-config.contrast, config.contrast, 1, 1, 1)) * (1 + drawn(-config.tint, config.tint, 3, 1, 1))
    images = images * factor + drawn(-config.brightness, config.brightness, 1, 1, 1)
    grain = torch.from_numpy(rng.standard_normal(images.shape, np.float32)).to(device)
    return (images + grain * drawn(0, config.noise, 1, 1, 1)).clamp(-1, 1), pose


def shifted(images: Tensor, pose: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures and pose numbers moved by `shift` [B, 2], in picture heights right and up; gaps repeat the border."""
    # The grid holds the source of each pixel, in half heights right and down.
    grid = F.affine_grid(torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1), list(images.shape), False)
    grid = grid - 2 * (shift * torch.tensor([1.0, -1.0], device=shift.device))[:, None, None]
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    where = pose.reshape(-1, 3, 4).clone()
    where[:, :2, 3] += shift
    return moved, where.reshape(-1, 12)
