"""`voxface train` that a signal ends, and one of two processes that speaks."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import run
from tests.stand_ins.mesh_training import mesh_words

COMMAND = [sys.executable, "-m", "voxface", "train"]


@contextmanager
def signal_to_itself(number: signal.Signals, when: Callable[[], object]) -> Iterator[None]:
    """Sends this process a signal as soon as something is so, unless the context is left before."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(0.01):
            if when():
                os.kill(os.getpid(), number)
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        left.set()
        watching.join()


def assert_told_how_to_go_on(folder: Path, out: str, err: str) -> None:
    """Of a training that was interrupted."""
    assert out == ""
    last = max((folder / "checkpoints").glob("step-*"))
    assert err.splitlines()[-1] == f"voxface: interrupted; go on from {last} with --resume"
    assert "Traceback" not in err


@pytest.mark.train
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_names_the_checkpoint_to_go_on_from(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    words = [*mesh_words(world, folder, steps=100_000), "--checkpoint-every", "5"]
    with signal_to_itself(number, lambda: list((folder / "checkpoints").glob("step-*"))):
        assert run("train", *words) == 128 + number
    assert_told_how_to_go_on(folder, *capsys.readouterr())


@pytest.mark.train
@pytest.mark.slow
def test_a_process_that_is_asked_to_end_does_so_too(world: Path, tmp_path: Path) -> None:
    words = [*COMMAND, *mesh_words(world, tmp_path / "run", steps=100_000), "--checkpoint-every", "5"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 120
    while not list((tmp_path / "run" / "checkpoints").glob("step-*")) and time.monotonic() < patience:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert_told_how_to_go_on(tmp_path / "run", out, err)


@pytest.mark.train
@pytest.mark.slow
def test_one_of_two_processes_speaks(world: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*launcher, "-m", "voxface", "train", *mesh_words(world, tmp_path / "run"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=threads)
    assert json.loads(done.stdout)["networks"] == ["mesh"]
    assert done.stderr.count("step 0: loss") == 1
    assert done.stderr.count("embeddings of 16 crops") == 1
    again = subprocess.run(words, capture_output=True, text=True, check=False, env=threads)
    assert again.returncode != 0
    assert [error["exit_code"] for error in json.loads(again.stdout)["errors"]] == [2]
    assert again.stderr.count("holds a run already; go on with --resume") == 1
