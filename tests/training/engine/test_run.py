"""What a run gives a training: random numbers of each step, the learning curve, shares of a batch, networks and tensors."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.killed_trainings import CONFIG, run_in  # noqa: E402
from tests.stand_ins.small_training import QUICK  # noqa: E402
from voxface.runtime.errors import UsageError  # noqa: E402
from voxface.training.engine.prepared_batches import PreparedBatches  # noqa: E402
from voxface.training.engine.run import Run, bare  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_randomness_follows_from_seed_and_step(tmp_path: Path) -> None:
    def draws(name: str, seed: int) -> list[tuple[float, float]]:
        run = run_in(tmp_path / name, seed=seed)
        return [(float(run.random(step).random()), float(torch.rand(()))) for step in run.steps(3)]

    first = draws("a", 0)
    assert draws("b", 0) == first
    every = np.array([*first, *draws("c", 1)]).ravel()
    assert len(set(every)) == 12


def test_a_validation_is_a_point_whenever_it_comes(tmp_path: Path) -> None:
    run = run_in(tmp_path, log_every=10)
    for step in run.steps(16):
        run.log(step, {"loss": 1.0} | ({"validation/auc": 0.5} if (step + 1) % 8 == 0 else {}))
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [0, 7, 10, 15]
    assert points[1]["validation/auc"] == 0.5


def test_curve_keeps_numbers_exactly(tmp_path: Path) -> None:
    run = run_in(tmp_path, log_every=2)
    loss = torch.tensor(0.1, requires_grad=True)
    for step in run.steps(4):
        run.log(step, {"loss": loss, "half": torch.tensor([0.1]).bfloat16(), "count": torch.tensor(7), "rate": 2e-4})
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    expected = {"loss": float(np.float32(0.1)), "half": 0.10009765625, "count": 7.0, "rate": 2e-4}
    assert points == [{"step": 0, **expected}, {"step": 2, **expected}]


def test_names_are_unique_and_come_before_the_steps(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.network("a", nn.Linear(1, 1))
    with pytest.raises(ValueError, match="a: registered already"):
        run.network("a", nn.Linear(1, 1), trained=False)
    for _ in run.steps(1):
        with pytest.raises(ValueError, match="b: the run has begun"):
            run.network("b", nn.Linear(1, 1))


def test_batches_are_divided_evenly(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert run.share(7) == 7
    with pytest.raises(UsageError, match="batch 0: at least 1"):
        run.share(0)
    run._processes.number = 3
    assert run.share(12) == 4
    for batch in (2, 7):
        with pytest.raises(UsageError, match=f"a batch of {batch} cannot be divided among 3 processes"):
            run.share(batch)


@pytest.mark.parametrize(("making", "using", "told"), [(1.0, 3.0, "25.0 %"), (0.0, 1.0, "0.0 %")])
def test_the_share_of_waiting_for_data_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, making: float, using: float, told: str
) -> None:
    now, said = [0.0], list[str]()

    def make(step: int) -> int:
        now[0] += making
        return step

    monkeypatch.setattr("voxface.training.engine.run.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(PreparedBatches.__init__, "__kwdefaults__", {"ahead": 0, "threads": 2, "clock": lambda: now[0]})
    run = Run(tmp_path / "run", CONFIG, QUICK, data="", resume=False, say=said.append)
    for step, batch in run.batches(4, make):
        assert step == batch
        now[0] += using
    assert said == [f"steps waited for data {told} of their time"]


def test_tensors_are_copies(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1]
    array.flags.writeable = False
    copy = run_in(tmp_path).tensor(array)
    copy += 1
    assert copy.tolist() == [[3, 2, 1], [6, 5, 4]]
    assert array.tolist() == [[2, 1, 0], [5, 4, 3]]


def test_bare_takes_off_what_the_run_has_put_on(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    module, frozen, average = nn.Linear(1, 1), Frozen(nn.Linear(1, 1)), nn.Linear(1, 1)
    assert bare(run.network("a", module)) is module
    assert bare(frozen) is frozen
    assert run.network("b", average, trained=False) is average
    assert bare(average) is average
