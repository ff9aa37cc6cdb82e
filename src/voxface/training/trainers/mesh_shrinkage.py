"""How far the mesh network's faces are drawn towards the mean face of the sex heard, chosen on the validation people."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.models.shrunk_mesh import ShrunkMesh

SLOPES: Final = np.geomspace(2.0, 50.0, 33)
"""Slopes that are tried: at 2 a mean woman's face is one at 73 %, at 50 the sex is as good as a switch."""


@dataclass(frozen=True)
class Shrinkage:
    """What was chosen; see `ShrunkMesh`.

    Attributes:
        slope: of the probability of the sex.
        decided: how far faces are moved to where that probability puts them between the mean faces, 0 to 1.
        share: of the deviation from the mean faces that is kept, 0 to 1.
        people: number of people that it was chosen on.
    """

    slope: float
    decided: float
    share: float
    people: int


def has_both_sexes(pairs: Pairs, people: NDArray[np.int32]) -> bool:
    """Whether there are women and men among these people."""
    return len(np.unique(pairs.sexes[people])) == 2


def shrink(
    network: nn.Module, held: HeldOut, targets: NDArray[np.float32], learners: NDArray[np.int32]
) -> tuple[ShrunkMesh, Shrinkage]:
    """The network, drawn towards the mean faces of the two sexes.

    Slope, decided and share are those with the least squared error in millimetres, each person counting once.

    Args:
        network: embedding -> coefficients, on the device of `held`.
        held: people that the network was not trained on.
        targets: float32 [I, P], the faces that it learnt from, of everybody.
        learners: int32, the people whose mean faces are taken; women and men, as in `held`.
    """
    pairs = held.pairs
    known_means = np.isfinite(pairs.expected[held.person]).all()
    true = (pairs.expected if known_means else pairs.coefficients)[held.person].astype(
        np.float64
    )  # the former vary less
    woman, man = (targets[learners[pairs.sexes[learners] == sex]].mean(0, dtype=np.float64) for sex in (0, 1))
    flat = pairs.morphable.basis.reshape(pairs.morphable.modes, -1).astype(np.float64)
    metric = flat @ flat.T / len(pairs.morphable.mean)
    faces = held.predictions(network).astype(np.float64)
    weights = 1 / np.bincount(held.person)[held.person]
    apart = woman - man
    axis = metric @ apart / (apart @ metric @ apart)
    # Places along the line from the mean man to the mean woman, and what is beside it: the two errors do not mix.
    t, true_t = (faces - man) @ axis, (true - man) @ axis
    within, true_within = faces - man - np.outer(t, apart), true - man - np.outer(true_t, apart)

    def along(slope: float) -> tuple[float, float, float]:
        """Squared error along the line, slope, and the best `decided` for it."""
        step = 0.5 * (1 + np.tanh(slope * (t - 0.5) / 2)) - t
        decided = _share(float((weights * step * (true_t - t)).sum()), float((weights * step**2).sum()))
        return float((weights * np.square(true_t - t - decided * step)).sum()), slope, decided

    _, slope, decided = min(along(float(slope)) for slope in SLOPES)
    share = _share(
        *(float((weights * np.einsum("up,pq,uq->u", within, metric, other)).sum()) for other in (true_within, within))
    )
    device = next(network.parameters()).device
    means = (torch.from_numpy(each) for each in (woman, man, metric))
    shrunk = ShrunkMesh.from_means(network.cpu(), *means, slope=slope, decided=decided, share=share).to(device)
    return shrunk, Shrinkage(slope, decided, share, len(np.unique(held.person)))


def _share(along: float, length: float) -> float:
    """The best factor of a step within 0 to 1."""
    return min(1.0, max(0.0, along / length)) if length > 0 else 0.0
