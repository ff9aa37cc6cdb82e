"""Distances between vertices of two faces from their coefficients alone."""

import numpy as np
import torch
from torch import Tensor, nn

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.losses.published_joint import PIXELS_PER_MM


class VertexNorms(nn.Module):
    """Maps coefficients to numbers [B, 3, P] whose norms along the last dimension are those of all vertices, axis by axis.

    For the basis b_a [P, N] of an axis they are α·L_a, where L_a is the symmetric root of b_a·b_aᵀ, so the vertices need not be
    computed. Norms are in pixels of a picture in which a millimetre is `PIXELS_PER_MM`.
    """

    roots: Tensor

    def __init__(self, model: MorphableModel) -> None:
        super().__init__()
        basis = model.basis.astype(np.float64).transpose(2, 0, 1) * PIXELS_PER_MM  # [3, P, N]
        values, vectors = np.linalg.eigh(basis @ basis.transpose(0, 2, 1))
        roots = (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.transpose(0, 2, 1)
        self.coordinates = 3 * basis.shape[2]
        self.register_buffer("roots", torch.from_numpy(roots.astype(np.float32)))

    def forward(self, coefficients: Tensor) -> Tensor:
        """[B, P] -> [B, 3, P]."""
        return torch.einsum("bp,apq->baq", coefficients, self.roots)

    def mean_squared(self, one: Tensor, other: Tensor) -> Tensor:
        """Mean squared difference between the coordinates of all vertices of two batches of faces, px²: scalar."""
        mean: Tensor = self(one - other).square().sum((1, 2)).mean() / self.coordinates
        return mean
