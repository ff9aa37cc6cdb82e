"""A clock that the test sets by hand."""


class Ticks:
    """Nanoseconds that stand still, or move on by `step` whenever they are read."""

    def __init__(self, step: int = 0) -> None:
        self.now, self._step = 1_000, step

    def __call__(self) -> int:
        self.now += self._step
        return self.now
