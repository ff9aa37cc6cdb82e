"""How many threads a BLAS was asked for: what the user says counts, and nothing is claimed of a numpy that is there already."""

import json
import os
import subprocess
import sys

import pytest

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
