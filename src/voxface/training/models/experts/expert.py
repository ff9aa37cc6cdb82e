"""Interface of experts, networks that read a face's geometry from a picture: `own` and `published` implement it.

An expert is the teacher of the joint training (Wu 2022, §3.3): its coefficients are the pseudo ground truth of Eq. 4, its
features the reference of Eqs. 5 and 6. It is frozen there (`models.frozen.Frozen`).
"""

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

SIZE: Final = 120
POSE: Final = 12


class Geometry(NamedTuple):
    """Geometry that an expert reads from B pictures.

    Attributes:
        coefficients: [B, P], unit-normal, of the expert's morphable model.
        pose: [B, 12], a 3×4 matrix (scaled rotation | translation) row by row, in units of the expert.
        pooled: [B, F], the feature before the heads; F is 1280 for a MobileNetV2.
        middle: [B, ν], an intermediate feature of 8×8 positions, flattened; ν is 4096 for a MobileNetV2.
    """

    coefficients: Tensor
    pose: Tensor
    pooled: Tensor
    middle: Tensor

    def float(self) -> "Geometry":
        """The same in float32: a network under autocast gives bfloat16, which does not mix with it."""
        return Geometry(*(value.float() for value in self))


class Expert(nn.Module, ABC):
    """Interface of all experts.

    Attributes:
        coefficients: P, number of coefficients.
    """

    coefficients: int

    @abstractmethod
    def forward(self, images: Tensor) -> Geometry:
        """Reads pictures [B, 3, H, H], RGB, in [-1, 1], of any H; each expert converts them to what its trunk needs."""


def resized(images: Tensor, size: int = SIZE) -> Tensor:
    """Pictures [B, 3, H, W] at size × size, bilinear with aligned corner pixels, as in Wu's published code."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=True)
