"""Augmentation that gradients pass through, for the critic's eyes only (after the idea of Zhao et al. 2020, §3.2).

With few pictures a critic learns them by heart. Moving, covering and recolouring what it sees, real and generated pictures
alike and in the generator's step too, makes it learn what pictures have in common; the generator's own pictures stay clean,
because the gradient comes back through the same change. Written from the paper's description as tensor arithmetic.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor


def colour(images: Tensor) -> Tensor:
    """Brightness ±0.5 of the range's half, saturation ×0 to 2, contrast ×0.5 to 1.5, each picture its own."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device).to(images.dtype)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    middle = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(middle, images, 0.5 + contrast)


def translation(images: Tensor, reach: float = 0.125) -> Tensor:
    """Moves each picture by whole pixels, up to `reach` of its size either way; what comes in is zero (mid-grey)."""
    down = _shift(images, images.shape[2], reach)
    right = _shift(images, images.shape[3], reach)
    # A move is a product with a shifted unit matrix on either side: quick, and its gradient is the move back.
    moved: Tensor = down @ images @ right.transpose(-1, -2)
    return moved


def cutout(images: Tensor, size: float = 0.5) -> Tensor:
    """Zeroes a square of `size` of the picture's height, its centre anywhere, so that it may reach over the edge."""
    covered = [_within(images, pixels, size) for pixels in images.shape[2:]]
    hole = covered[0][:, None, :, None] & covered[1][:, None, None, :]
    return images.masked_fill(hole, 0.0)


AUGMENTATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def augment(images: Tensor, kinds: tuple[str, ...]) -> Tensor:
    """Applies these kinds of `AUGMENTATIONS` in order, freshly drawn, to images [B, 3, H, W] in [-1, 1].

    Raises:
        KeyError: no such kind.
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
    """bool [B, pixels]: which rows (or columns) the square covers."""
    width = int(pixels * size + 0.5)
    centre = torch.randint(0, pixels + (1 - width % 2), (len(images), 1), device=images.device)
    place = torch.arange(pixels, device=images.device)
    return (place >= centre - width // 2) & (place < centre - width // 2 + width)
