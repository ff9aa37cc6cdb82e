"""The student's features are to lie to each other as the expert's do (Passalis & Tefas 2018; Wu 2022, Eqs. 5 and 6).

Features of different widths can be compared so: only the picture each sample has of its neighbours in the batch counts.
Where the published code departs from the paper, this file follows the paper: the expert is the reference distribution of the
divergence (theirs is the student), it is detached (theirs is not), and no sample is its own
neighbour (in theirs it is, and all B² entries are averaged).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-7


def conditional_probabilities(features: Tensor) -> Tensor:
    """z_{i|j} = K(z_i, z_j) / Σ_{k≠j} K(z_k, z_j), with K = (cosine + 1) / 2 in [0, 1] (Wu 2022, Eq. 5).

    Args:
        features: [B, …], B ≥ 2; everything but the batch is one vector.

    Returns:
        [B, B], row i, column j: z_{i|j}; single precision where half came in. Columns sum to one, the diagonal is zero, all
        else at least about `EPSILON` / B: K is raised by `EPSILON`, so that opposite features leave no zero to divide by.

    Raises:
        ValueError: one sample has no neighbours.
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
    """Σ_i Σ_{j≠i} z^E_{j|i} · log(z^E_{j|i} / z_{j|i}) / B (Wu 2022, Eq. 6): KL(expert ‖ student), at least 0.

    The paper's double sum is one divergence per sample; divided by B it is their mean, and its size does not follow the batch.
    Zero where the student's features are the expert's, turned and scaled. No gradient goes to the expert.

    Args:
        expert, student: features [B, …] of the same pictures; their widths may differ.

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
