"""Python's collector of circles, at rest while a program starts."""

import gc
from types import TracebackType
from typing import Self


class CollectorPause:
    """A time in which circles of objects are not looked for; a context manager, which ends it at the latest.

    While modules are imported, nearly all objects are made to stay, and the collector looks at them again and again.
    """

    def __init__(self) -> None:
        """Begins the pause, unless the program has switched the collector off."""
        self._begun = gc.isenabled()
        gc.disable()

    def end(self) -> None:
        """Ends it; a second time is without effect."""
        if self._begun:
            gc.enable()
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
