"""Face embedding network with its heads, the discriminator F_d and the classifier F_c (Wen 2019, §3.3 and Table 2).

Both heads share the convolutions: a training step runs `FaceEmbedding` once, and both heads on its result.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from voxface.training.models.face_generator import Kernel, Style


class FaceEmbedding(nn.Module):
    """Image [B, 3, 64, 64] -> embedding [B, E]: a 1×1 convolution, ones of stride 2, and a 4×4 one to a single pixel.

    Args:
        channels: output channels of all layers but the last.
        embedding: E.
        kernel: of the layers of stride 2: "k4" (4×4) as in the published code, or "k3" (3×3) as in the paper's table.
        last_rectified: whether a leaky ReLU follows the last layer too, as in the paper's table and not in the code.
        style: "dcgan" has batch normalisation behind all layers but the first and the last (Radford et al. 2016, §3).
    """

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64, 128, 256, 512),
        embedding: int = 64,
        *,
        kernel: Kernel = "k4",
        last_rectified: bool = False,
        style: Style = "wen",
    ) -> None:
        super().__init__()
        self.style = style
        taps = 4 if kernel == "k4" else 3
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 1, 1, 0), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide in pairwise(channels):
            normalised = [nn.BatchNorm2d(wide)] if style == "dcgan" else []
            layers += [nn.Conv2d(narrow, wide, taps, 2, 1), *normalised, nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Conv2d(channels[-1], embedding, 4, 1, 0))
        if last_rectified:
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor, groups: int = 1) -> Tensor:
        """Returns [B, E], not normalised.

        Args:
            image: [B, 3, 64, 64].
            groups: how many parts the batch has of one kind each (real, generated), which batch normalisation is to measure
                apart; without it they make no difference.
        """
        if self.style == "dcgan" and groups > 1:
            return torch.cat([self.model(part) for part in image.chunk(groups)]).flatten(1)
        features: Tensor = self.model(image)
        return features.flatten(1)


class _Head(nn.Module):
    def __init__(self, embedding: int, outputs: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(embedding, outputs, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits [B, outputs]."""
        logits: Tensor = self.model(features)
        return logits


class Discriminator(_Head):
    """Whether a picture is real: linear without bias, [B, E] -> logit [B, 1], positive for real and negative for generated."""

    def __init__(self, embedding: int = 64) -> None:
        super().__init__(embedding, 1)


class Classifier(_Head):
    """Whose face a picture shows: linear without bias, [B, E] -> logits [B, identities]."""

    def __init__(self, identities: int, embedding: int = 64) -> None:
        super().__init__(embedding, identities)
