"""Trainings in processes of their own, one or two of them: killed, asked to end, spoilt, and their halves of a batch."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")


from tests.conftest import ROOT  # noqa: E402
from tests.stand_ins.killed_trainings import CONFIG, checkpoints  # noqa: E402
from tests.stand_ins.small_training import train, train_line  # noqa: E402
from voxface.runtime.errors import UsageError  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


ALONE = [sys.executable]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@contextmanager
def started(launcher: Sequence[str], folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A training in processes of its own; whatever is left of them is killed in the end."""
    ours = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK")}
    environment = ours | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [*launcher, "-m", "tests.stand_ins.small_training", str(folder), *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def points(folder: Path) -> int:
    curve = folder / "curve.jsonl"
    return curve.read_text().count("\n") if curve.exists() else 0


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while points(folder) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.01)


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out, err


@pytest.mark.slow
def test_sigkill_at_any_moment(tmp_path: Path) -> None:
    with started(ALONE, tmp_path / "whole") as undisturbed:
        with started(ALONE, tmp_path / "killed", "--pause", "0.02") as process:
            wait_for(tmp_path / "killed", int(np.random.default_rng().integers(1, 25)), process)
            with pytest.raises(UsageError, match="another process is training here"):
                train(tmp_path / "killed", CONFIG, resume=True)
            time.sleep(float(np.random.default_rng().random()) / 10)
            process.kill()
            process.wait()
        done = points(tmp_path / "killed")
        with started(ALONE, tmp_path / "killed", "--resume") as process:
            out, _ = ended(process)
        ended(undisturbed)
    first = int(out.split()[4]) if out.startswith("going on") else 0
    assert done - 4 <= first <= done
    for name in ("curve.jsonl", "voice.0", "painter.0", "critic.0", "average.0"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def check_same_everywhere(folder: Path) -> None:
    for name in ("voice", "painter", "critic", "average"):
        assert (folder / f"{name}.0").read_bytes() == (folder / f"{name}.1").read_bytes(), name
    losses = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in losses] == list(range(12))
    assert np.isfinite([list(point.values()) for point in losses]).all()


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("two") / "whole"
    with started(TORCHRUN, folder, "--steps", "12") as process:
        ended(process)
    return folder


@pytest.mark.slow
def test_two_processes_of_torchrun(whole_of_two: Path) -> None:
    check_same_everywhere(whole_of_two)


@pytest.mark.slow
def test_two_processes_killed_go_on_to_the_same_numbers(tmp_path: Path, whole_of_two: Path) -> None:
    options = ("--steps", "12", "--devices", "2")
    with started(ALONE, tmp_path / "killed", *options, "--pause", "0.1") as process:
        wait_for(tmp_path / "killed", 6, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with started(ALONE, tmp_path / "killed", *options, "--resume") as process:
        out, _ = ended(process)
    assert out.startswith("going on from step")
    check_same_everywhere(tmp_path / "killed")
    for name in ("curve.jsonl", "voice.0", "painter.0", "critic.0", "average.0"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole_of_two / name).read_bytes(), name


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes(tmp_path: Path) -> None:
    with started(ALONE, tmp_path, "--devices", "2", "--pause", "0.1") as process:
        wait_for(tmp_path, 3, process)
        process.terminate()  # the other has not heard it
        out, err = ended(process, 130)
    assert "go on with --resume" in out
    assert "Traceback" not in err
    assert checkpoints(tmp_path)[-1] == f"step-{points(tmp_path):09d}"


@pytest.mark.slow
def test_a_nan_in_one_process_ends_both(tmp_path: Path) -> None:
    with started(ALONE, tmp_path, "--devices", "2", "--bad-step", "6") as process:
        _, err = ended(process, 3)
    errors = [line for line in err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "step 6: judging is nan" in errors[0]
    assert [path.name for path in tmp_path.glob("bad-batch*")] == ["bad-batch-0000006-0.npz"]
    assert checkpoints(tmp_path) == ["step-000000004"]


@pytest.mark.learns
@pytest.mark.slow
def test_two_halves_of_a_batch_are_the_whole(tmp_path: Path) -> None:
    with started(TORCHRUN, tmp_path / "halves", "--steps", "12", "--line") as process:
        expected = train_line(tmp_path / "whole", CONFIG)
        ended(process)
    from safetensors.torch import load_file

    start = train_line(tmp_path / "start", dataclasses.replace(CONFIG, steps=0))
    for rank in (0, 1):
        found = load_file(tmp_path / "halves" / f"line.{rank}")
        for name, value in expected.state_dict().items():
            assert found[name].numpy() == pytest.approx(value.numpy(), abs=1e-6)
            assert (value - start.state_dict()[name]).abs().max() > 1e-2  # it has learnt
    curves = [(tmp_path / name / "curve.jsonl").read_text().splitlines() for name in ("halves", "whole")]
    losses = [[json.loads(line)["loss"] for line in curve] for curve in curves]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
