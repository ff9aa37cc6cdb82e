"""A request that a run ends, and its reason."""

from typing import Final

TIME_IS_UP: Final = "time is up"


class Stop:
    """A request that a run ends, made from any thread or signal handler. Every loop of a run checks it.

    Attributes:
        reason: the reason of the first request; None while there is none.
    """

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Requests the end; the reason of the first request stays."""
        if self.reason is None:
            self.reason = reason

    def __call__(self) -> bool:
        """Whether the end was requested."""
        return self.reason is not None

    @property
    def early(self) -> str | None:
        """The reason of a request before the time was up; None otherwise."""
        return self.reason if self.reason != TIME_IS_UP else None
