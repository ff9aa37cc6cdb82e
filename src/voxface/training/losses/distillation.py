"""Distillation of features: Kullback–Leibler divergence of neighbourhoods (Wu 2022, Eqs. 5 and 6; Passalis & Tefas 2018).

The student's features shall have the same neighbours in the batch as the expert's. Only the similarities within the batch are
compared, so the two features may have different widths. Where Wu's published code departs from the paper, this file follows the
paper: the expert is the reference distribution of the divergence (in the code, the student), it is detached (in the code, it is
not), and no sample is its own neighbour (in the code, it is, and all B² entries are averaged).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7


def conditional_probabilities(features: Tensor) -> Tensor:
    """Conditional probabilities z_{i|j} = K(z_i, z_j) / Σ_{k≠j} K(z_k, z_j), with K = (cosine + 1) / 2 (Wu 2022, Eq. 5).

    Args:
        features: [B, …], B ≥ 2; each sample is flattened to one vector.

    Returns:
        [B, B] with z_{i|j} in row i, column j, in float32 or more. Columns sum to one, the diagonal is zero, and all other
        entries are at least about `EPSILON` / B: `EPSILON` is added to K, so that opposite features cause no division by zero.

    Raises:
        ValueError: a batch of one, which has no neighbours.
    """
    batch = len(features)
    if batch < 2:
        raise ValueError("conditional probabilities need two samples or more")
    single = torch.promote_types(features.dtype, torch.float32)
    unit = F.normalize(features.flatten(1).to(single), dim=1)
    with torch.autocast(unit.device.type, enabled=False):
        cosine = unit @ unit.T
    kernel = (cosine.clamp(-1, 1) + 1) / 2 + EPSILON
    kernel = kernel * (1 - torch.eye(batch, device=kernel.device))
    return kernel / kernel.sum(0, keepdim=True)


def divergence(expert: Tensor, student: Tensor) -> Tensor:
    """KL(expert ‖ student) = Σ_i Σ_{j≠i} z^E_{j|i} · log(z^E_{j|i} / z_{j|i}) / B, at least 0 (Wu 2022, Eq. 6).

    The paper's double sum is a sum of one divergence per sample; divided by B it is their mean, which does not grow with B. It
    is zero where the student's features are the expert's, rotated and scaled. No gradient goes to the expert.

    Args:
        expert, student: features [B, …] of the same pictures; widths may differ.

    Raises:
        ValueError: batches of different sizes, or of one.
    """
    if len(expert) != len(student):
        raise ValueError(f"{len(expert)} samples of the expert, {len(student)} of the student")
    reference = conditional_probabilities(expert.detach())
    ours = conditional_probabilities(student)
    neighbours = ~torch.eye(len(reference), dtype=torch.bool, device=reference.device)
    p, q = reference[neighbours], ours[neighbours]
    return (p * (p / q).log()).sum() / len(reference)
