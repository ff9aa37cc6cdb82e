"""Losses and weights that are NaN or infinite end a run, and their batch is kept."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.killed_trainings import CONFIG, checkpoints, result, run_in  # noqa: E402
from tests.stand_ins.small_training import train  # noqa: E402
from voxface.runtime.errors import VoxfaceError  # noqa: E402
from voxface.training.engine.bad_batch import TrainingError  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_a_nan_stops_the_run_and_leaves_its_batch(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    with pytest.raises(TrainingError, match="step 6: judging is nan, making is nan; the batch is in ") as caught:
        train(tmp_path, CONFIG, bad_step=6)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    batch = np.load(tmp_path / "bad-batch-0000006-0.npz", allow_pickle=False)
    assert batch["voices"].shape == (8, 64, 64)
    assert np.isnan(batch["voices"]).all((1, 2)).tolist() == [True] + 7 * [False]
    assert batch["people"].shape == (8,)
    assert checkpoints(tmp_path) == ["step-000000004"]
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 6
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_losses_are_looked_at_in_every_step(tmp_path: Path, value: float) -> None:
    run = run_in(tmp_path, log_every=100)

    def training() -> None:
        for step in run.steps(5):
            run.log(step, {"a": torch.tensor(1.0), "b": torch.tensor(value if step == 3 else 0)})

    with pytest.raises(TrainingError, match=f"step 3: b is {value}"):
        training()
    assert (tmp_path / "curve.jsonl").read_text() == '{"step": 0, "a": 1.0, "b": 0.0}\n'


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    run = run_in(tmp_path, checkpoint_every=2)
    network = run.network("line", nn.Linear(2, 2))

    def training() -> None:
        for step in run.steps(6):
            run.log(step, {"loss": 1.0}, {"x": torch.full((2,), step, dtype=torch.bfloat16)})
            if step == 3:
                network.weight.data[0, 0] = torch.inf

    told = r"step 3: the weights of line are not finite; the batch is in .*bad-batch-0000003-0\.npz"
    with pytest.raises(TrainingError, match=told):
        training()
    assert checkpoints(tmp_path) == ["step-000000002"]
    assert np.load(tmp_path / "bad-batch-0000003-0.npz")["x"].tolist() == [3, 3]


def test_errors_are_voxface_errors() -> None:
    assert issubclass(TrainingError, VoxfaceError)
