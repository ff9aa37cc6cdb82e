"""Exponential moving average (EMA) of a network's weights during training; generators are kept as their average."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage(nn.Module):
    """`average ← average + (1 − β)·(network − average)` of every parameter, β rising to `decay` (Karras et al. 2018, §4.1).

    β at update n, counted from 0, is min(decay, (1 + n) / (10 + n)), so that the average soon forgets the random first weights.
    Buffers are copied. The average is never trained and always in eval mode.

    Args:
        network: the network whose weights are averaged; it is copied.
        decay: largest β, from 0 to below 1.

    Raises:
        ValueError: a decay out of this range.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay {decay}: not within 0 and 1")
        self.decay = decay
        self.module = deepcopy(network).eval().requires_grad_(False)

    def at(self, update: int) -> float:
        """β of update number `update`."""
        return min(self.decay, (1 + update) / (10 + update))

    @torch.no_grad()
    def update(self, network: nn.Module, update: int) -> None:
        """Updates the average with a network of the same architecture; `update` is the number of the update, counted from 0."""
        mine, its = ([p.detach() for p in side.parameters()] for side in (self.module, network))
        torch._foreach_lerp_(mine, its, 1.0 - self.at(update))
        for buffer, other in zip(self.module.buffers(), network.buffers(), strict=True):
            buffer.copy_(other)

    def train(self, mode: bool = True) -> "ExponentialMovingAverage":
        """Does nothing: there is no training mode."""
        super().train(False)
        return self

    def forward(self, *arguments: Any) -> Any:
        """Runs the average without recording gradients."""
        with torch.no_grad():
            return self.module(*arguments)
