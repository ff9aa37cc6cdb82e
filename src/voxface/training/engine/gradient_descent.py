"""One descent of one or several optimisers in whatever precision."""

import torch
from lightning_fabric import Fabric
from torch import Tensor

from voxface.training.engine.optimiser_state import unwrapped


def descend(fabric: Fabric, loss: Tensor, *optimisers: torch.optim.Optimizer, clip: float | None = None) -> None:
    """Computes the gradients of the optimisers' parameters anew and steps these optimisers; other parameters do not move.

    Args:
        loss: scalar.
        clip: greatest norm of the gradients of each optimiser's parameters; None: no clipping.
    """
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    # With several optimisers, Fabric would change the scale of 16-bit gradients between their steps.
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    for optimiser in optimisers:
        if scaler is not None:
            scaler.unscale_(unwrapped(optimiser))
        if clip is not None:
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        if scaler is None:
            optimiser.step()
        else:
            scaler.step(unwrapped(optimiser))
    if scaler is not None:
        scaler.update()
