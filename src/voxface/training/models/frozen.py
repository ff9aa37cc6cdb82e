"""A network that has been trained before and stays as it is, whatever is trained around it."""

from typing import Any, Self

import torch
from torch import nn


class Frozen(nn.Module):
    """Wraps a module: no gradients, eval mode for ever, running statistics that never move.

    The published code of Wu 2022 calls `train()` on its "frozen" voice encoder after the first validation, and its batch
    normalisation drifts from there on; this one does not listen to `train()`.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    def forward(self, *arguments: Any) -> Any:
        """Runs the module without recording gradients."""
        with torch.no_grad():
            return self.module(*arguments)

    def train(self, mode: bool = True) -> Self:
        """Does nothing: there is no training mode."""
        super().train(False)
        return self
