"""Learning-rate schedules: shares of the full rate that follow from the number of the step, so that a resumed run goes on."""

import numpy as np
import torch


def cosine(step: int, steps: int) -> float:
    """Falls from 1 at step 0 to 0 at step `steps` along half a cosine (Loshchilov & Hutter 2017, Eq. 5, without restarts)."""
    return float(0.5 * (1 + np.cos(np.pi * step / steps)))


def linear_warmup(step: int, warmup: int) -> float:
    """Rises from 1 / `warmup` at step 0 to 1 and stays there (Goyal et al. 2017, §2.2); `warmup` counts steps."""
    return min(1.0, (step + 1) / max(warmup, 1))


def warmup_then_cosine(step: int, steps: int, warmup: int, start: float = 0.0) -> float:
    """Rises in a straight line from `start` to 1 in `warmup` steps, then falls to 0 at step `steps` along half a cosine."""
    if step < warmup:
        return start + (1 - start) * (step + 1) / warmup
    return cosine(step - warmup, max(1, steps - warmup))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Gives all of an optimiser's parameters one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
