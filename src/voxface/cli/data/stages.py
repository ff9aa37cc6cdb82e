"""Progress of a task of several stages."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from voxface.cli.output import Progress


class StageProgress:
    """One progress bar per stage of a longer task, one after the other."""

    def __init__(self) -> None:
        self._now: Progress | None = None

    def __call__(self, what: str, total: int) -> Callable[[str], None]:
        """Begins a stage of `total` steps; the function returned is to be called after each step, with a label."""
        self.close()
        self._now = Progress(total, what)
        return self._now.step

    def close(self) -> None:
        """Clears the line."""
        if self._now is not None:
            self._now.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
