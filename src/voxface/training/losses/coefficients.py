"""Coefficients against their ground truth (Wu 2022, Eq. 2) or pseudo ground truth (Eq. 4)."""

from torch import Tensor


def coefficient_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """‖α − α*‖², mean over the batch (Wu 2022, Eq. 2; with the expert's coefficients as target, Eq. 4).

    It is the sum over the P coefficients, so P times the mean squared error. The published code takes the mean squared error of
    vertices instead of Eq. 4. No gradient goes to the target.

    Args:
        alpha, target: unit-normal coefficients [B, P] each.

    Raises:
        ValueError: the shapes differ, which broadcasting would hide.
    """
    if alpha.shape != target.shape:
        raise ValueError(f"coefficients of shape {tuple(alpha.shape)} against a target of {tuple(target.shape)}")
    return (alpha - target.detach()).flatten(1).square().sum(1).mean()
