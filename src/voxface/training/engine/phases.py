"""How far a training is, phase by phase: before and after its steps there is work that takes minutes."""

from collections.abc import Callable
from typing import Protocol

Done = Callable[[int, int], None]
"""Callback with (done, of how many) within a phase."""


class Progress(Protocol):
    """Callback with (done, of how many, name of the phase); no name: the steps of the training themselves."""

    def __call__(self, done: int, total: int, phase: str = "", /) -> None: ...


def no_progress(done: int, total: int, phase: str = "", /) -> None:
    """Tells nobody."""


def not_told(done: int, total: int) -> None:
    """A phase of which nobody is told."""
