"""Face embedding network with its heads, the discriminator F_d and the classifier F_c (Wen 2019, §3.3 and Table 2).

Both heads share the convolutions: a training step runs `FaceEmbedding` once, and both heads on its result.
"""

from itertools import pairwise

from torch import Tensor, nn


class FaceEmbedding(nn.Module):
    """Image [B, 3, 64, 64] -> embedding [B, E]: a 1×1 convolution, 4×4 ones of stride 2, and a 4×4 one to a single pixel."""

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
    """Whether a picture is real: linear without bias, [B, E] -> logit [B, 1], positive for real and negative for generated."""

    def __init__(self, embedding: int = 64) -> None:
        super().__init__(embedding, 1)


class Classifier(_Head):
    """Whose face a picture shows: linear without bias, [B, E] -> logits [B, identities]."""

    def __init__(self, identities: int, embedding: int = 64) -> None:
        super().__init__(embedding, identities)
