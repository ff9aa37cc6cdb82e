"""Coefficients against their (pseudo) ground truth."""

from torch import Tensor


def coefficient_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """‖α − α*‖², mean over the batch (Wu 2022, Eq. 2; with the expert's coefficients as target, Eq. 4).

    The sum over the P coefficients is kept, so the value is P times what a mean squared error gives. The published code takes
    the mean squared error of vertices instead of Eq. 4. The target is data: no gradient goes there.

    Args:
        alpha, target: [B, P], unit-normal coefficients.

    Raises:
        ValueError: the shapes differ; broadcasting would hide it.
    """
    if alpha.shape != target.shape:
        raise ValueError(f"coefficients of shape {tuple(alpha.shape)} against a target of {tuple(target.shape)}")
    return (alpha - target.detach()).flatten(1).square().sum(1).mean()
