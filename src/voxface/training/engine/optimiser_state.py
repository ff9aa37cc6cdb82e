"""State of an optimiser as plain tensors and JSON values, so that nothing that is read back can run code."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning_fabric import is_wrapped
from torch import Tensor


def optimiser_state(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Copies an optimiser's state.

    Returns:
        (tensors named `INDEX.NAME`, without values that are None; parameter groups as JSON values).

    Raises:
        TypeError: a state that is no tensor (as LBFGS has), or an option that is one (as a learning rate can be).
    """
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value.detach().cpu().contiguous().clone()
            elif value is not None:
                raise TypeError(f"{type(optimiser).__name__}: {name} is no tensor and cannot be saved")
    for group in state["param_groups"]:
        for name, value in group.items():
            if isinstance(value, Tensor):
                raise TypeError(f"{type(optimiser).__name__}: {name} is a tensor; give a number")
    return tensors, [dict(group) for group in state["param_groups"]]


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: Sequence[Mapping[str, Any]]
) -> None:
    """Gives an optimiser the state that `optimiser_state` copied.

    Each tensor goes to its parameter's device, but for step counts, which stay on the CPU unless the optimiser is fused or
    capturable.

    Raises:
        ValueError, KeyError: the state is of another optimiser.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value.clone()
    # JSON has no tuples; of an optimiser's options only `params` and `param_names` are lists.
    plain = [
        {name: tuple(v) if isinstance(v, list) and not name.startswith("param") else v for name, v in group.items()}
        for group in groups
    ]
    optimiser.load_state_dict({"state": state, "param_groups": plain})


def unwrapped(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """An optimiser without Fabric's wrapper, if it has one."""
    return optimiser.optimizer if is_wrapped(optimiser) else optimiser  # type: ignore[attr-defined]
