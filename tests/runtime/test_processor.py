"""The cores this process may use, and the threads a BLAS was asked for, which count unless numpy was imported before."""

import json
import os
import subprocess
import sys

import pytest

from voxface.runtime.processor import usable_cores

ASK = """
import json, os, sys
{before}
from voxface.runtime import processor
processor.ask_for_one_thread()
print(json.dumps([processor.has_one_thread(), os.environ.get("OPENBLAS_NUM_THREADS")]))
"""


@pytest.mark.parametrize(
    ("asked", "before", "has_one", "openblas"),
    [
        ({}, "", True, "1"),
        ({"OPENBLAS_NUM_THREADS": "4"}, "", False, "4"),
        ({"MKL_NUM_THREADS": "2"}, "", False, "1"),  # whichever of them is in use
        ({"OPENBLAS_NUM_THREADS": "1"}, "import numpy", True, "1"),
        ({}, "import numpy", False, None),  # it has made its threads
    ],
)
def test_one_thread_is_only_claimed_where_it_is_so(
    asked: dict[str, str], before: str, has_one: bool, openblas: str | None
) -> None:
    """In a process of its own, since it is asked once."""
    own = {name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "_MAXIMUM_THREADS"))}
    answer = subprocess.check_output([sys.executable, "-c", ASK.format(before=before)], env=own | asked, text=True)
    assert json.loads(answer) == [has_one, openblas]


def test_usable_cores_are_those_this_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
