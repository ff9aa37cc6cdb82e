"""The cascade of Wu 2022 (Fig. 6, "Base"): a face generator and an image-to-3D expert that know nothing of each other."""

from torch import Tensor, nn


class Cascade(nn.Module):
    """Embedding [B, E] -> coefficients [B, P]: the expert's, of the picture that the generator shows.

    Args:
        generator: of `train_face_gan`.
        expert: any `Expert`.

    The picture is clamped to [-1, 1], as a person would see it: the two networks were trained apart.
    """

    def __init__(self, generator: nn.Module, expert: nn.Module) -> None:
        super().__init__()
        self.generator, self.expert = generator, expert

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P]."""
        coefficients: Tensor = self.expert(self.generator(embedding).clamp(-1, 1)).coefficients
        return coefficients
