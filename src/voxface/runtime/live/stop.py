"""The wish that a run ends, and why."""

from typing import Final

TIME_IS_UP: Final = "time is up"


class Stop:
    """Asked from anywhere, a signal handler included; everybody looks at it before going on.

    Attributes:
        reason: why; None while nobody asked.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Asks for the end; the first reason stays."""
        if self.reason is None:
            self.reason = reason

    def __call__(self) -> bool:
        """Whether somebody asked."""
        return self.reason is not None

    @property
    def early(self) -> str | None:
        """The reason, unless it is that the time was up."""
        return self.reason if self.reason != TIME_IS_UP else None
