"""Face embedding network with its two heads, discriminator F_d and classifier F_c (Wen 2019, §3.3 and Table 2).

The heads share the convolutions, so a training step runs `FaceEmbedding` once and both heads on its result.
"""

from itertools import pairwise

from torch import Tensor, nn


class FaceEmbedding(nn.Module):
    """Image [B, 3, 64, 64] -> embedding [B, E]: 1×1, then halvings by 4×4 stride 2, then 4×4 to one pixel."""

    def __init__(self, channels: tuple[int, ...] = (32, 64, 128, 256, 512), embedding: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 1, 1, 0), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide in pairwise(channels):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Conv2d(channels[-1], embedding, 4, 1, 0))
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Returns [B, E], not normalised."""
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
    """Real (positive logit) or generated (negative): bias-free linear, [B, E] -> [B, 1]."""

    def __init__(self, embedding: int = 64) -> None:
        super().__init__(embedding, 1)


class Classifier(_Head):
    """Whose face it is: bias-free linear, [B, E] -> [B, identities]."""

    def __init__(self, identities: int, embedding: int = 64) -> None:
        super().__init__(embedding, identities)
