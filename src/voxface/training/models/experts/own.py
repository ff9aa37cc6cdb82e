"""Picture -> geometry network of our own, both expert and student (Wu 2022, §3.3: they have one architecture)."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.training.models.experts.expert import POSE, SIZE, Expert, Geometry, resized
from voxface.training.models.mobilenet_v2 import POOLED, MobileNetV2
from voxface.training.models.plain_trunk import PlainTrunk

Trunk = Literal["mobilenet_v2", "plain"]


class ImageToFace(Expert):
    """Convolutional trunk with two heads, pose and coefficients, each dropout 0.2 and a linear layer.

    With MobileNetV2 and P = 50 it has 2.30 M parameters.

    Pose is a weak-perspective camera, the rows of [A | t]: A·v + t takes a vertex v in *decimetres* (1 dm = 100 mm, so that the
    numbers are about 1) to its place in picture heights from the middle of the picture, x right, y up, z towards the camera.
    It is learnt by the expert (`trainers.expert`) and not used in the distillation.

    Args:
        coefficients: P, number of coefficients.
        size: size in pixels that pictures are resized to; 120 as published. Smaller is faster and less accurate; the middle
            feature has size/16 positions per side, rounded up.
        dropout: probability of dropout in the heads.
        trunk: "mobilenet_v2" as published, or "plain" (`PlainTrunk`), meant for CPUs and 64 pixels.
    """

    def __init__(
        self, coefficients: int, size: int = SIZE, dropout: float = 0.2, trunk: Trunk = "mobilenet_v2"
    ) -> None:
        super().__init__()
        self.coefficients, self.size, self.trunk = coefficients, size, trunk
        self.backbone = MobileNetV2() if trunk == "mobilenet_v2" else PlainTrunk(size)
        pooled = POOLED if isinstance(self.backbone, MobileNetV2) else self.backbone.pooled
        self.pose = _head(pooled, POSE, dropout)
        self.shape = _head(pooled, coefficients, dropout)

    def forward(self, images: Tensor) -> Geometry:
        """Reads pictures [B, 3, H, H], RGB, about [-1, 1]."""
        pooled, middle = self.backbone(resized(images, self.size))
        return Geometry(self.shape(pooled), self.pose(pooled), pooled, middle.flatten(1))

    @torch.no_grad()
    def begin_at(self, coefficients: NDArray[np.float32], pose: NDArray[np.float32]) -> None:
        """Sets the heads so that the untrained network gives these coefficients [P] and pose numbers [12] for every picture."""
        for head, values in ((self.shape, coefficients), (self.pose, pose)):
            linear = head[-1]
            assert isinstance(linear, nn.Linear)
            linear.weight.zero_()
            linear.bias.copy_(torch.from_numpy(values))


def _head(pooled: int, outputs: int, dropout: float) -> nn.Sequential:
    linear = nn.Linear(pooled, outputs)
    nn.init.normal_(linear.weight, 0, 0.01)  # the mean face at first
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)
