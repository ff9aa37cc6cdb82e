"""Triplet loss: samples of one person close together, those of another person apart (Wu 2022, Eq. 3)."""

import torch
from torch import Tensor


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0) -> Tensor:
    """max(‖α − α_p‖ − ‖α − α_n‖ + margin, 0), mean over the batch (Wu 2022, Eq. 3).

    Each norm runs over *all* numbers of a sample, coefficients [B, P] or vertices [B, N, 3]. The published code takes norms
    over one axis of the vertices only, and its positives and negatives are neighbours in a list, which may be of any person;
    here `trainers.triplets` draws them.

    Args:
        anchor, positive: [B, …], two samples of the same person each.
        negative: [B, …], samples of other people.
        margin: in the unit of the samples.

    Raises:
        ValueError: the shapes differ, which broadcasting would hide.
    """
    if not anchor.shape == positive.shape == negative.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
        raise ValueError(f"anchor, positive and negative have shapes {shapes}; they must be the same")
    near = torch.linalg.vector_norm((anchor - positive).flatten(1), dim=1)
    far = torch.linalg.vector_norm((anchor - negative).flatten(1), dim=1)
    loss: Tensor = (near - far + margin).clamp(min=0).mean()
    return loss
