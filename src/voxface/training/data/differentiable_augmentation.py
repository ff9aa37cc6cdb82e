"""Differentiable augmentation of the pictures that a critic gets (Zhao et al. 2020, §3.2; written after the paper's text).

A critic soon knows a few pictures by heart. If all pictures it gets are moved, covered and recoloured, real and generated ones
alike and also in the generator's step, it learns what pictures have in common. The generator's own pictures stay without these
changes, because the gradient passes back through them.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor


def colour(images: Tensor) -> Tensor:
    """Changes brightness by ±0.5 (of a range from −1 to 1), saturation by ×0 to 2, contrast by ×0.5 to 1.5, per picture."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device).to(images.dtype)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    middle = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, images, 0.5 + contrast)


def translation(images: Tensor, reach: float = 0.125) -> Tensor:
    """Moves each picture by whole pixels, by up to `reach` of its size to either side; the gap is filled with 0, mid-grey."""
    down = _shift(images, images.shape[2], reach)
    right = _shift(images, images.shape[3], reach)
    # Products with shifted unit matrices are fast, and their gradient is the move back.
    moved: Tensor = down @ images @ right.transpose(-1, -2)
    return moved


def cutout(images: Tensor, size: float = 0.5) -> Tensor:
    """Sets a square to 0: its side is `size` of the picture's height, its centre anywhere, so that it may cross the edge."""
    covered = [_within(images, pixels, size) for pixels in images.shape[2:]]
    hole = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


AUGMENTATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def augment(images: Tensor, kinds: tuple[str, ...]) -> Tensor:
    """Applies some kinds of `AUGMENTATIONS`, in order and drawn at random, to images [B, 3, H, W] in [-1, 1].

    Raises:
        KeyError: an unknown kind.
    """
    for kind in kinds:
        images = AUGMENTATIONS[kind](images)
    return images


def _shift(images: Tensor, pixels: int, reach: float) -> Tensor:
    """Shifted unit matrices [B, 1, pixels, pixels]."""
    far = int(pixels * reach + 0.5)
    by = torch.randint(-far, far + 1, (len(images), 1, 1, 1), device=images.device)
    place = torch.arange(pixels, device=images.device)
    return (place[:, None] == place[None, :] + by).to(images.dtype)


def _within(images: Tensor, pixels: int, size: float) -> Tensor:
    """Which rows (or columns) the square covers: bool [B, pixels]."""
    width = int(pixels * size + 0.5)
    centre = torch.randint(0, pixels + (1 - width % 2), (len(images), 1), device=images.device)
    place = torch.arange(pixels, device=images.device)
    return (place >= centre - width // 2) & (place < centre - width // 2 + width)
