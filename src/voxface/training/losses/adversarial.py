"""The generator against the discriminator: binary cross-entropy, non-saturating, and a penalty on steep critics."""

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean cross-entropy of real pictures called real plus that of generated ones called generated (Wen 2019, Algorithm 1).

    The published code sums the two, as here, and does not halve them.

    Args:
        real, fake: logits [B, 1]; positive means real.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Mean cross-entropy of generated pictures, logits [B, 1], called real: small when the discriminator is fooled."""
    return F.softplus(-fake).mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """½·E‖∇D(x)‖² over real pictures x (Mescheder 2018, Eq. 9, without the factor γ).

    Args:
        real_logits: [B, 1], of `images`; no batch statistics may tie one picture's logit to another picture.
        images: [B, 3, H, W], made with `requires_grad`, and what the logits were computed from.

    Raises:
        RuntimeError: the logits do not depend on `images`, or these do not require gradients.
    """
    # Picture b moves logit b only, so the gradient of the sum holds every picture's own. In float32: squares of half
    # precision underflow.
    (slope,) = torch.autograd.grad(real_logits.float().sum(), images, create_graph=True)
    return 0.5 * slope.float().flatten(1).square().sum(1).mean()
