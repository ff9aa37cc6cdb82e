"""Losses of the joint training as Wu 2022's published code computes them, where that departs from the paper.

Values are those of the published code on the same tensors. Two of its defects are not repeated, for no value shows them: the
expert is a constant here (no gradient goes to it, nor through it to the picture), and positives and negatives are of the people
that they should be of (`trainers.triplets`).
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON: Final = 1e-7
# Mean scale of a face in the published networks, which see pictures of 120×120 pixels: 5.920184e-4 px/µm.
PIXELS_PER_MM: Final = 0.5920184


def published_divergence(expert: Tensor, student: Tensor) -> Tensor:
    """Mean over all B² pairs of z_ij · log((z_ij + ε) / (z^E_ij + ε)), where z are the student's probabilities.

    Unlike Eqs. 5 and 6 (`distillation.divergence`), the student is the reference, each sample is a neighbour of itself, rows
    sum to one, and the sum is divided by B² and not by B. At B = 64 that is about 64 times smaller, which the weight 10,000 of
    the published training makes up for.

    Args:
        expert, student: features [B, …] of the same pictures; widths may differ.

    Raises:
        ValueError: batches of different sizes.
    """
    if len(expert) != len(student):
        raise ValueError(f"{len(expert)} samples of the expert, {len(student)} of the student")
    reference, ours = _probabilities(expert.detach()), _probabilities(student)
    loss: Tensor = (ours * ((ours + EPSILON) / (reference + EPSILON)).log()).mean()
    return loss


def _probabilities(features: Tensor) -> Tensor:
    """(cosine + 1) / 2 of all pairs, each row divided by its sum, float32 [B, B]."""
    single = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        flat = features.flatten(1).to(single)
        unit = flat / (torch.linalg.vector_norm(flat, dim=1, keepdim=True) + EPSILON)
        kernel: Tensor = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(1, keepdim=True)


def published_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0) -> Tensor:
    """max(‖x − x_p‖ − ‖x − x_n‖ + margin, 0) for each axis of space on its own, mean over samples and axes.

    Unlike Eq. 3 (`triplet.triplet_loss`), x are vertices and not coefficients, and a norm runs over one axis of all vertices.

    Args:
        anchor, positive, negative: [B, 3, N], vertices in pixels of the 120×120 picture, axis by axis; or any numbers with the
            same norms along the last dimension.
        margin: pixels.

    Raises:
        ValueError: the shapes differ.
    """
    if not anchor.shape == positive.shape == negative.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
        raise ValueError(f"anchor, positive and negative have shapes {shapes}; they must be the same")
    near = torch.linalg.vector_norm(anchor - positive, dim=-1)
    far = torch.linalg.vector_norm(anchor - negative, dim=-1)
    return F.relu(near - far + margin).mean()
