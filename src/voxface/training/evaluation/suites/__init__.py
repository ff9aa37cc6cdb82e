"""The suites of `voxface eval`: each module has `run(inputs) -> SuiteResult`, and is named as the suite, with underscores.

`SUITES` is in the order in which `voxface eval all` runs them.
"""

import importlib
from collections.abc import Callable
from typing import Final

from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.result import SuiteResult

SUITES: Final = (
    "speaker",
    "geometry",
    "realness",
    "identity",
    "attributes",
    "matching",
    "association",
    "duration",
    "noise",
    "segments",
    "joint-gain",
    "images",
    "streaming",
)


def suite(name: str) -> Callable[[Inputs], SuiteResult]:
    """The function that runs a suite."""
    run: Callable[[Inputs], SuiteResult] = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").run
    return run
