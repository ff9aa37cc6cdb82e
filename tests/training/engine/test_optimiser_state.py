"""States of optimisers: saved, restored, refused."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from torch import nn  # noqa: E402

from voxface.training.engine.optimiser_state import optimiser_state, restore_optimiser  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


OPTIMISERS: dict[str, Any] = {
    "adam": lambda p: torch.optim.Adam(p, 1e-2, betas=(0.5, 0.999)),
    "amsgrad": lambda p: torch.optim.AdamW(p, 1e-2, amsgrad=True, weight_decay=0.1),
    "fused": lambda p: torch.optim.Adam(p, 1e-2, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, 1e-2),
    "momentum": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-2, momentum=0.5, centered=True),
    "adafactor": torch.optim.Adafactor,
    "rprop": torch.optim.Rprop,
}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(OPTIMISERS)),
    shapes=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=3),
    steps=st.integers(0, 3),
    idle=st.integers(0, 2),
)
def test_an_optimiser_goes_on_where_it_was(name: str, shapes: list[list[int]], steps: int, idle: int) -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in shapes]

    def step(parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        for i, parameter in enumerate(parameters):  # one of them may have no gradient yet, and so no state
            gradient = torch.randn(parameter.shape, generator=drawn)
            parameter.grad = None if i == idle and seed == 0 else gradient
        optimiser.step()

    ours = [nn.Parameter(value.clone()) for value in start]
    first = OPTIMISERS[name](ours)
    for seed in range(steps):
        step(ours, first, seed)
    tensors, groups = optimiser_state(first)
    kept = json.loads(json.dumps(groups))
    theirs = [nn.Parameter(value.detach().clone()) for value in ours]
    second = OPTIMISERS[name](theirs)
    restore_optimiser(second, tensors, kept)
    assert second.state_dict()["param_groups"] == first.state_dict()["param_groups"]
    for state in second.state_dict()["state"].values():
        if "step" in state:
            assert state["step"].shape == ()
            assert state["step"].dtype == torch.float32
            assert state["step"].device.type == "cpu"
    for seed in range(steps, steps + 2):
        step(ours, first, seed)
        step(theirs, second, seed)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_saved_state_is_a_copy() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([parameter], 1.0, momentum=0.9)
    parameter.grad = torch.ones(2)
    optimiser.step()
    tensors, groups = optimiser_state(optimiser)
    other = torch.optim.SGD([nn.Parameter(torch.zeros(2))], 1.0, momentum=0.9)
    restore_optimiser(other, tensors, groups)
    optimiser.step()
    assert tensors["0.momentum_buffer"].tolist() == [1, 1]
    assert next(iter(other.state.values()))["momentum_buffer"].tolist() == [1, 1]


def test_what_cannot_be_saved_of_an_optimiser() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    searching = torch.optim.LBFGS([parameter])
    parameter.grad = torch.ones(2)
    searching.step(parameter.sum)
    with pytest.raises(TypeError, match=r"LBFGS: .* is no tensor and cannot be saved"):
        optimiser_state(searching)
    with pytest.raises(TypeError, match="Adam: lr is a tensor; give a number"):
        optimiser_state(torch.optim.Adam([parameter], torch.tensor(0.1), capturable=True))


def test_the_state_of_another_optimiser() -> None:
    tensors, groups = optimiser_state(torch.optim.Adam([nn.Parameter(torch.zeros(2))]))
    with pytest.raises(ValueError, match="parameter group"):
        restore_optimiser(torch.optim.Adam([nn.Parameter(torch.zeros(2)) for _ in range(2)]), tensors, groups)
