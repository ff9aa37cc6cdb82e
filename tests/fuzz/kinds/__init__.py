"""The kinds of hostile input: every module of this package is one.

It has `FULL` and `QUICK`, its numbers of cases in `make fuzz` and in the suite, `NEEDS`, the modules without which it cannot
run, and `fuzz(count, seed, folder)`, which gives the findings, each with the number of its case.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Final, Protocol


class Kind(Protocol):
    """What a module of this package has."""

    FULL: int
    QUICK: int
    NEEDS: tuple[str, ...]

    def fuzz(self, count: int, seed: int, folder: Path) -> list[str]:
        """Runs `count` cases made from `seed` in an empty `folder`."""
        ...


NAMES: Final = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def kind(name: str) -> Kind:
    """The kind of this name."""
    found: Kind = importlib.import_module(f"{__name__}.{name}")
    return found
