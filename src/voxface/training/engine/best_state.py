"""The state a network had when it did best: what early stopping gives back."""

import copy
import sys
from typing import cast

import torch
from torch import Tensor, nn


class Best(nn.Module):
    """A copy of a network as it was when its score was lowest; saved and restored like any network.

    Attributes:
        network: the copy, in eval mode, without gradients.
        score: float64 [], the lowest so far.
    """

    score: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        # Not infinity: a checkpoint refuses numbers that are none.
        self.register_buffer("score", torch.tensor(sys.float_info.max, dtype=torch.float64))

    def offer(self, network: nn.Module, score: float) -> bool:
        """Takes the network's state if `score` is lower than any before; says whether it was."""
        if not score < float(self.score):
            return False
        self.network.load_state_dict(network.state_dict())
        self.score.fill_(score)
        return True

    def forward(self, *arguments: Tensor) -> Tensor:
        """The copy's."""
        return cast(Tensor, self.network(*arguments))
