"""`Run.descend`: whose parameters move, clipping, and scaled gradients of two optimisers."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from lightning_fabric.plugins import MixedPrecision  # noqa: E402
from torch import nn  # noqa: E402

from tests.stand_ins.killed_trainings import run_in, weights  # noqa: E402
from tests.stand_ins.small_training import Critic, Painter  # noqa: E402
from voxface.training.engine.run import Run, bare  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_a_step_of_the_painter_leaves_the_critic_alone(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    painter, critic = run.network("painter", Painter()), run.network("critic", Critic())
    makers = run.optimiser("makers", torch.optim.Adam(painter.parameters()))
    judges = run.optimiser("judges", torch.optim.Adam(critic.parameters()))
    run.descend(critic(painter(torch.randn(3, 4)).detach()).mean(), judges)
    before = weights({"critic": bare(critic)}), [p.grad.clone() for p in critic.parameters()]
    painted = weights({"painter": bare(painter)})

    bare(critic).requires_grad_(False)
    run.descend(bare(critic)(painter(torch.randn(3, 4))).mean(), makers)
    bare(critic).requires_grad_(True)
    assert weights({"critic": bare(critic)}) == before[0]
    assert all(torch.equal(p.grad, was) for p, was in zip(critic.parameters(), before[1], strict=True))
    assert weights({"painter": bare(painter)}) != painted


def test_descend_clips_each_optimisers_gradients(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    one, two = (run.optimiser(name, torch.optim.SGD([p], 1.0)) for name, p in (("one", a), ("two", b)))
    run.descend((a * torch.tensor([3.0, 4.0])).sum() + 0.5 * b.sum(), one, two, clip=1.0)
    assert a.tolist() == pytest.approx([-0.6, -0.8], abs=1e-5)
    assert b.tolist() == [-0.5]  # its norm is small enough


def scaled_run(folder: Path, *, resume: bool = False) -> tuple[Run, list[nn.Parameter], list[Any]]:
    """A run of two parameters with a scale of gradients that doubles with every step, as 16-bit training has one."""
    run = run_in(folder, resume=resume)
    scaler = torch.amp.GradScaler("cpu", init_scale=16, growth_interval=1)
    run.fabric.strategy.precision = MixedPrecision("16-mixed", "cpu", scaler)
    networks = [run.network(name, nn.Linear(1, 1, bias=False)) for name in "ab"]
    parameters = [bare(network).weight for network in networks]
    optimisers = [run.optimiser(n, torch.optim.SGD([p], 0.5)) for n, p in zip("ab", parameters, strict=True)]
    return run, parameters, optimisers


@pytest.mark.parametrize("clip", [None, 100.0])
def test_scaled_gradients_of_two_optimisers(tmp_path: Path, clip: float | None) -> None:
    run, (a, b), optimisers = scaled_run(tmp_path)
    start = a.item(), b.item()
    for _ in run.steps(3):
        run.descend((3 * a + 5 * b).sum(), *optimisers, clip=clip)
    # Scales are powers of two, so nothing is rounded that would not be without them.
    assert a.item() == pytest.approx(start[0] - 3 * 0.5 * 3, abs=1e-6)
    assert b.item() == pytest.approx(start[1] - 3 * 0.5 * 5, abs=1e-6)


def test_the_scale_of_gradients_is_gone_on_with(tmp_path: Path) -> None:
    run, (a, b), optimisers = scaled_run(tmp_path)
    for _ in run.steps(3):
        run.descend((a + b).sum(), *optimisers)
    again, _, _ = scaled_run(tmp_path, resume=True)
    assert list(again.steps(3)) == []
    assert again.fabric.strategy.precision.state_dict() == run.fabric.strategy.precision.state_dict()
    assert again.fabric.strategy.precision.state_dict()["scale"] == 16 * 2**3
