"""Cascade baseline of Wu 2022 (Fig. 6, "Base"): face generator, then image-to-3D expert, each trained without the other."""

from torch import Tensor, nn


class Cascade(nn.Module):
    """Embedding [B, E] -> coefficients [B, P] that the expert reads from the generated picture.

    The picture is clamped to [-1, 1], as it is when shown, because the expert was trained on such pictures only.

    Args:
        generator: a network that `train_face_gan` gives.
        expert: any `Expert`.
    """

    def __init__(self, generator: nn.Module, expert: nn.Module) -> None:
        super().__init__()
        self.generator, self.expert = generator, expert

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P]."""
        coefficients: Tensor = self.expert(self.generator(embedding).clamp(-1, 1)).coefficients
        return coefficients
