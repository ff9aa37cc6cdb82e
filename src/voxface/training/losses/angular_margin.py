"""Speaker identification on the sphere: softmax over cosines, with a margin that the right speaker has to win by."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AngularMargin(nn.Module):
    """Additive angular margin softmax (ArcFace; Deng 2019, Eq. 3): cross-entropy of s·cos(θ_y + m) against s·cos θ_k.

    θ_k is the angle between an embedding and the direction of class k, which is learnt; neither has a length that counts.
    With margin 0 it is the scaled cosine softmax. Past θ = π − m, where cos(θ + m) would rise again, the straight line
    cos θ − m·sin m goes on, as in the paper's code: no embedding is drawn the wrong way.

    Args:
        identities: how many classes.
        embedding: E.
        scale: s.
        margin: m in radians, 0 to π/2.
    """

    def __init__(self, identities: int, embedding: int = 64, scale: float = 30.0, margin: float = 0.2) -> None:
        super().__init__()
        if not 0 <= margin < math.pi / 2:
            raise ValueError(f"a margin of {margin} radians; it has to be in [0, π/2)")
        self.scale, self.margin = scale, margin
        self.directions = nn.Parameter(F.normalize(torch.randn(identities, embedding), dim=1))

    def cosines(self, embedding: Tensor) -> Tensor:
        """cos θ float32 [B, identities] of embeddings [B, E]; the largest names the class."""
        return F.linear(F.normalize(embedding, dim=1), F.normalize(self.directions, dim=1)).float()

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean cross-entropy of embeddings [B, E] of classes int64 [B]."""
        cosine = self.cosines(embedding)
        if not self.margin:
            return F.cross_entropy(self.scale * cosine, label)
        own = cosine.gather(1, label[:, None])
        # The root's slope is infinite where the embedding lies on its direction.
        sine = (1 - own.square()).clamp(min=1e-7).sqrt()
        harder = own * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = own < -math.cos(self.margin)
        harder = torch.where(beyond, own - self.margin * math.sin(self.margin), harder)
        return F.cross_entropy(self.scale * cosine.scatter(1, label[:, None], harder), label)
