"""Runs that are not begun, or not gone on with, and what they leave as it was."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")


from tests.stand_ins.killed_trainings import CONFIG, contents, killed, result, run_in  # noqa: E402
from tests.stand_ins.small_training import QUICK, train  # noqa: E402
from voxface.runtime.errors import InputError, ProviderError, UsageError  # noqa: E402
from voxface.training.engine.run import RunConfig  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_a_run_is_not_begun_over(tmp_path: Path) -> None:
    train(tmp_path, dataclasses.replace(CONFIG, steps=2))
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="holds a run already; go on with --resume, or choose another --out"):
        train(tmp_path, CONFIG)
    assert contents(tmp_path) == before


def test_nor_one_that_has_no_checkpoint_yet(tmp_path: Path) -> None:
    killed(tmp_path, 2)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="holds a run already"):
        train(tmp_path, CONFIG)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rate": 2e-3}, r"rate \(0\.001, now 0\.002\)"),
        ({"batch": 4, "rate": 1.0}, r"batch \(8, now 4\), rate \(0\.001, now 1\.0\)"),
        ({"run": dataclasses.replace(QUICK, seed=QUICK.seed + 1)}, rf"seed \({QUICK.seed}, now {QUICK.seed + 1}\)"),
        ({"run": dataclasses.replace(QUICK, precision="bf16-mixed")}, r"precision \(32-true, now bf16-mixed\)"),
        ({"people": 10}, r"people \(8, now 10\), data \(small-8-0-120-64, now small-10-0-120-64\)"),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    train(tmp_path, dataclasses.replace(CONFIG, steps=4))
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=f"was begun with other settings: {told}; choose another --out"):
        train(tmp_path, dataclasses.replace(CONFIG, **change), resume=True)
    assert contents(tmp_path) == before


HOLDER = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path)
    before = contents(tmp_path)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UsageError, match="another process is training here; choose another --out"):
            train(tmp_path, CONFIG, resume=True)
        assert contents(tmp_path) == before
        other.communicate(b"\n")
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seed": -1}, "seed -1: at least 0"),
        ({"checkpoint_every": 0}, "checkpoint_every 0: at least 1"),
        ({"keep": 0}, "keep 0"),
        ({"log_every": 0}, "log_every 0"),
        ({"sample_every": -5}, "sample_every -5"),
        ({"devices": 0}, "devices 0"),
        ({"accelerator": "abacus"}, "accelerator 'abacus': one of auto, cpu, cuda"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        RunConfig(**wrong)


def test_unknown_precision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--precision 8: one of 32-true, bf16-mixed, 16-mixed"):
        run_in(tmp_path / "run", precision="8")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"--accelerator cuda --devices 1: .*not available") as caught:
        run_in(tmp_path / "run", accelerator="cuda")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match="run: cannot be written"):
        run_in(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_more_processes_than_the_cores_can_bear(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--devices 100000: at most \d+ processes on \d+ cores"):
        run_in(tmp_path / "run", devices=100_000)
    assert not (tmp_path / "run").exists()


def test_torchrun_and_devices_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="--devices 3: torchrun has started 2 processes; leave --devices out"):
        run_in(tmp_path / "run", devices=3)
    assert not (tmp_path / "run").exists()
