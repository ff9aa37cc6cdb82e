"""Voice embedding -> generated picture -> coefficients: what Wu 2022, Fig. 3 keeps after the training."""

from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor, nn

from voxface.training.models.face_generator import FaceGenerator, Kernel


class JointMesh(nn.Module):
    """Face generator and student in one network with the signature of `MeshRegressor`, as a bundle's mesh graph needs.

    The student gets the picture as it leaves the generator, not clamped, because it has learnt from such pictures.

    Args:
        coefficients: P, number of coefficients.
        embedding, channels, kernel: of the `FaceGenerator`.
        student: further arguments of the `ImageToFace`.
    """

    generator: nn.Module
    student: nn.Module

    def __init__(
        self,
        coefficients: int,
        embedding: int = 64,
        channels: tuple[int, ...] = (1024, 512, 256, 128, 64),
        kernel: Kernel = "k4",
        student: Mapping[str, Any] | None = None,
    ) -> None:
        from voxface.training.models.experts.own import ImageToFace

        super().__init__()
        self.generator = FaceGenerator(embedding, channels, kernel)
        self.student = ImageToFace(coefficients, **(student or {}))

    @classmethod
    def from_networks(cls, generator: nn.Module, student: nn.Module) -> Self:
        """Joins two networks without copying them.

        Args:
            generator: embedding [B, E] -> picture [B, 3, H, H].
            student: picture -> `Geometry`.
        """
        joint = cls.__new__(cls)
        nn.Module.__init__(joint)
        joint.generator, joint.student = generator, student
        return joint

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P] of embeddings [B, E]."""
        coefficients: Tensor = self.student(self.generator(embedding)).coefficients
        return coefficients
