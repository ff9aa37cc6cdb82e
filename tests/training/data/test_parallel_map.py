"""Workers of a parallel map: results in order, and no worker left over by a process that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from voxface.training.data.parallel_map import parallel_map

WORKING = """
import sys, time
from tests.training.data.test_parallel_map import busy
from voxface.training.data.parallel_map import parallel_map
if __name__ == "__main__":
    list(parallel_map(busy, sys.argv[1], range(4), 2))
"""


def double(shared: int, item: int) -> int:
    return shared * item


def busy(folder: str, item: int) -> None:
    (Path(folder) / f"{os.getpid()}").touch()
    time.sleep(600)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_order(workers: int) -> None:
    assert list(parallel_map(double, 2, range(7), workers)) == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="whether a process lives is read from /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_process_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "working.py"
    script.write_text(WORKING)
    (tmp_path / "pids").mkdir()
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen([sys.executable, script, tmp_path / "pids"], env={**os.environ, "PYTHONPATH": paths})
    patience = time.monotonic() + 120
    while len(list((tmp_path / "pids").iterdir())) < 2:
        assert time.monotonic() < patience
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait()
    workers = [Path("/proc") / each.name for each in (tmp_path / "pids").iterdir()]
    while any(_lives(worker) for worker in workers):
        assert time.monotonic() < patience, "a worker waits for ever"
        time.sleep(0.02)


def _lives(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
