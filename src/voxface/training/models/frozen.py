"""Wrapper of a network that was trained before and must not change while others are trained."""

from typing import Any, Self

import torch
from torch import nn


class Frozen(nn.Module):
    """Wrapper that keeps a module in eval mode, without gradients and with constant running statistics.

    `train()` does nothing. (Wu 2022's published code calls it on the "frozen" voice encoder after the first validation, and the
    running statistics of its batch normalisation drift from there on.)
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    @property
    def normalisation(self) -> str:
        """How the input of a voice encoder is normalised; networks that know only one kind have no attribute for it."""
        return str(getattr(self.module, "normalisation", "bands"))

    def forward(self, *arguments: Any) -> Any:
        """Runs the module without recording gradients."""
        with torch.no_grad():
            return self.module(*arguments)

    def train(self, mode: bool = True) -> Self:
        """Does nothing: there is no training mode."""
        super().train(False)
        return self
