"""Standard output that is closed, full, or goes away while it is written to: one line, an exit code, no traceback."""

import subprocess
import sys

import pytest

VOXFACE = f"{sys.executable} -m voxface"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["bundle info", "bundle info --json", "doctor"])
def test_a_full_disk(words: str) -> None:
    done = shell(f"{VOXFACE} {words} > /dev/full")
    assert done.returncode == 3
    assert done.stderr == "voxface: error: standard output: No space left on device\n"


def test_closed_from_the_beginning() -> None:
    done = shell(f"{VOXFACE} bundle info >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away() -> None:
    done = shell(f"{VOXFACE} bundle info --json | true")
    assert (done.returncode, done.stderr) == (141, "")
