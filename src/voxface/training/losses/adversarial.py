"""Adversarial losses: binary cross-entropy, the non-saturating loss of the generator, and the R1 penalty."""

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean cross-entropy of real pictures classified as real, plus that of generated ones as generated (Wen 2019, Algorithm 1).

    The sum of both is taken, not their mean, as in the published code.

    Args:
        real, fake: logits [B, 1]; positive means real.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Mean cross-entropy of generated pictures classified as real; small when the discriminator takes them for real.

    Args:
        fake: logits [B, 1]; positive means real.
    """
    return F.softplus(-fake).mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """½·E‖∇D(x)‖² over real pictures x (Mescheder 2018, Eq. 9, without the factor γ).

    Args:
        real_logits: [B, 1], of `images`; each logit may depend on its own picture only, so there are no batch statistics.
        images: [B, 3, H, W] with `requires_grad`, from which the logits were computed.

    Raises:
        RuntimeError: the logits do not depend on `images`, or `images` does not require gradients.
    """
    # Picture b moves logit b only, so the gradient of the sum holds the gradient of each. In float32, because squares in 16
    # bits underflow.
    (slope,) = torch.autograd.grad(real_logits.float().sum(), images, create_graph=True)
    return 0.5 * slope.float().flatten(1).square().sum(1).mean()
