"""All that a step needs from the steps before it, as a checkpoint holds it: networks, optimisers, scale of gradients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from voxface.training.engine.checkpoint import (
    CHECKPOINTS,
    read_state,
    read_tensors,
    unusable_checkpoint,
    write_checkpoint,
)
from voxface.training.engine.optimiser_state import optimiser_state, restore_optimiser, unwrapped


class Restored(NamedTuple):
    """The steps that a checkpoint's run had done, and on how many processes and threads."""

    steps: int
    processes: int
    threads: int


class RunState:
    """The state of a run; networks are without their wrappers.

    Attributes:
        networks, optimisers: by the names of their files.
    """

    def __init__(
        self, fabric: Fabric, networks: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]
    ) -> None:
        """Args: a launched Fabric, and what the run has registered."""
        self.networks, self.optimisers = networks, optimisers
        self._fabric = fabric

    def not_finite(self) -> list[str]:
        """Names of the networks whose weights hold NaN or infinity."""
        return [name for name, network in self.networks.items() if not _finite(network.state_dict())]

    def save(self, folder: Path, done: int, identity: Mapping[str, Any], keep: int) -> None:
        """Writes the checkpoint of a run after `done` steps, and leaves the newest `keep`.

        Raises:
            InputError: it cannot be written.
        """
        optimisers = {name: optimiser_state(unwrapped(optimiser)) for name, optimiser in self.optimisers.items()}
        write_checkpoint(
            folder / CHECKPOINTS,
            done,
            {
                **{name: network.state_dict() for name, network in self.networks.items()},
                **{f"optimiser-{name}": tensors for name, (tensors, _) in optimisers.items()},
            },
            {
                "identity": identity,
                "processes": int(self._fabric.world_size),
                "threads": torch.get_num_threads(),
                "precision": self._fabric.strategy.precision.state_dict(),
                "optimisers": {name: groups for name, (_, groups) in optimisers.items()},
            },
            keep,
        )

    def restore(self, checkpoint: Path) -> Restored:
        """Reads a checkpoint into the networks and optimisers.

        Raises:
            InputError: it is damaged, or of other networks or optimisers.
        """
        state = read_state(checkpoint)
        try:
            for name, network in self.networks.items():
                network.load_state_dict(read_tensors(checkpoint, state, name))
            for name, optimiser in self.optimisers.items():
                tensors = read_tensors(checkpoint, state, f"optimiser-{name}")
                restore_optimiser(unwrapped(optimiser), tensors, state["optimisers"][name])
            if state["precision"]:
                self._fabric.strategy.precision.load_state_dict(state["precision"])
            processes, threads = int(state["processes"]), int(state["threads"])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise unusable_checkpoint(checkpoint, str(error)) from error
        return Restored(int(state["step"]), processes, threads)


def _finite(state: Mapping[str, Tensor]) -> bool:
    flags = [torch.isfinite(value).all() for value in state.values() if value.is_floating_point()]
    return not flags or bool(torch.stack(flags).all())
