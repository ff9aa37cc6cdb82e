"""Checkpoints, curves and sheets that cannot be written."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")


from tests.stand_ins.killed_trainings import CONFIG, checkpoints, contents, killed, result, run_in  # noqa: E402
from tests.stand_ins.small_training import train  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to let files grow beyond this, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_no_checkpoint(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path, 5)
    kept = contents(tmp_path / "checkpoints")
    told = r"step-000000008: cannot be written \(File too large\); make room and go on with --resume"
    with files_no_larger_than(4000), pytest.raises(InputError, match=told):
        train(tmp_path, CONFIG, resume=True)
    assert contents(tmp_path / "checkpoints") == kept
    assert checkpoints(tmp_path) == ["step-000000004"]
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


def test_a_curve_that_cannot_be_written(tmp_path: Path) -> None:
    run = run_in(tmp_path)

    def training() -> None:
        for step in run.steps(3):
            (tmp_path / "curve.jsonl").unlink()
            (tmp_path / "curve.jsonl").mkdir()
            run.log(step, {"loss": 1.0})

    with pytest.raises(InputError, match=r"curve\.jsonl: cannot be written"):
        training()


def test_a_sheet_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    run = run_in(tmp_path, say=said.append, sample_every=2)
    (tmp_path / "samples").write_text("in the way")
    wanted = []
    for step in run.steps(4):
        wanted.append(run.wants_sheet(step))
        if wanted[-1]:
            run.sheet(step, [[np.zeros((8, 8, 3), np.uint8)]])
    assert wanted == [False, True, False, True]
    assert [line.split(": ")[1].split(" (")[0] for line in said] == 2 * ["cannot be written"]
