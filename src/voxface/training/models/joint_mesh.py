"""Voice embedding -> coefficients by way of a generated picture (Wu 2022, Fig. 3, what is left of it after training)."""

from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor, nn

from voxface.training.models.face_generator import FaceGenerator, Kernel


class JointMesh(nn.Module):
    """Generator and student in one network with `MeshRegressor`'s signature, so that it can be a bundle's mesh graph.

    The student sees the picture as it leaves the generator, not clamped: it has learnt from such pictures.

    Args:
        coefficients: P.
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
    def of(cls, generator: nn.Module, student: nn.Module) -> Self:
        """The two networks as they are, not copied: picture [B, 3, H, H] in, `Geometry` out of the second."""
        joint = cls.__new__(cls)
        nn.Module.__init__(joint)
        joint.generator, joint.student = generator, student
        return joint

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P] of embeddings [B, E]."""
        coefficients: Tensor = self.student(self.generator(embedding)).coefficients
        return coefficients
