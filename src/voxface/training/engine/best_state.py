"""State of a network at its best validation score, which early stopping returns."""

import copy
import sys
from typing import cast

import torch
from torch import Tensor, nn


class BestState(nn.Module):
    """Copy of a network at its lowest score; a run saves and restores it like any network.

    Attributes:
        network: the copy, in eval mode, without gradients.
        score: float64 [], the lowest score so far.
    """

    score: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        # The largest float, not infinity: a checkpoint refuses states that are not finite.
        self.register_buffer("score", torch.tensor(sys.float_info.max, dtype=torch.float64))

    def offer(self, network: nn.Module, score: float) -> bool:
        """Copies the network's state if `score` is lower than all before; returns whether it is."""
        if not score < float(self.score):
            return False
        self.network.load_state_dict(network.state_dict())
        self.score.fill_(score)
        return True

    def forward(self, *arguments: Tensor) -> Tensor:
        """Output of the copy."""
        return cast(Tensor, self.network(*arguments))
