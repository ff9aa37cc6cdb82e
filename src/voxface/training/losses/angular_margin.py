"""Additive angular margin softmax (ArcFace), the loss of speaker identification."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AngularMargin(nn.Module):
    """Cross-entropy of s·cos(θ_y + m) against s·cos θ_k (ArcFace; Deng 2019, Eq. 3).

    θ_k is the angle between an embedding and the learnt direction of class k; the length of neither counts. With margin 0 it is
    the scaled cosine softmax. Beyond θ = π − m, where cos(θ + m) would rise again and pull embeddings the wrong way,
    cos θ − m·sin m takes its place, as in the paper's code.

    Args:
        identities: number of classes.
        embedding: E, numbers of an embedding.
        scale: s.
        margin: m in radians, 0 to below π/2.

    Raises:
        ValueError: a margin out of this range.
    """

    def __init__(self, identities: int, embedding: int = 64, scale: float = 30.0, margin: float = 0.2) -> None:
        super().__init__()
        if not 0 <= margin < math.pi / 2:
            raise ValueError(f"a margin of {margin} radians; it has to be in [0, π/2)")
        self.scale, self.margin = scale, margin
        self.directions = nn.Parameter(F.normalize(torch.randn(identities, embedding), dim=1))

    def cosines(self, embedding: Tensor) -> Tensor:
        """cos θ, float32 [B, identities], of embeddings [B, E]; the class is the one with the largest."""
        return F.linear(F.normalize(embedding, dim=1), F.normalize(self.directions, dim=1)).float()

    def scores(self, embedding: Tensor) -> Tensor:
        """s·cos θ without the margin, float32 [B, identities]."""
        return self.scale * self.cosines(embedding)

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean cross-entropy of embeddings [B, E] of classes int64 [B]."""
        if not self.margin:
            return F.cross_entropy(self.scores(embedding), label)
        cosine = self.cosines(embedding)
        own = cosine.gather(1, label[:, None])
        # The slope of the root is infinite where an embedding lies on the direction of its class.
        sine = (1 - own.square()).clamp(min=1e-7).sqrt()
        harder = own * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = own < -math.cos(self.margin)
        harder = torch.where(beyond, own - self.margin * math.sin(self.margin), harder)
        return F.cross_entropy(self.scale * cosine.scatter(1, label[:, None], harder), label)
