"""Networks that read a face's geometry from a picture: `own` (trained on renders) and `published` (others' weights).

An expert teaches the joint training (Wu 2022, §3.3): its coefficients are the pseudo ground truth of Eq. 4, its features the
reference of Eqs. 5 and 6. Whoever uses one freezes it (`models.frozen.Frozen`).
"""

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

SIZE: Final = 120
POSE: Final = 12


class Geometry(NamedTuple):
    """What an expert sees in B pictures.

    Attributes:
        coefficients: [B, P], unit-normal, of the expert's morphable model.
        pose: [B, 12], a 3×4 matrix row by row, scaled rotation | translation; its units are the expert's.
        pooled: [B, F], the feature before the heads; F is 1280 for a MobileNetV2.
        middle: [B, ν], an intermediate feature of 8×8 places, flat; ν is 4096 for a MobileNetV2.
    """

    coefficients: Tensor
    pose: Tensor
    pooled: Tensor
    middle: Tensor


class Expert(nn.Module, ABC):
    """The interface of all experts.

    Attributes:
        coefficients: P.
    """

    coefficients: int

    @abstractmethod
    def forward(self, images: Tensor) -> Geometry:
        """Reads pictures [B, 3, H, H], RGB, [-1, 1], any H; what an expert's trunk wants instead is the expert's business."""


def resized(images: Tensor, size: int = SIZE) -> Tensor:
    """Pictures [B, 3, H, W] at size × size, bilinear between corner pixels as in Wu's published code (facts §4)."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=True)
