"""Progress of work that has several phases."""

from voxface.cli.output import Progress


class PhaseProgress:
    """A progress bar for each phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._bar: Progress | None = None

    def __call__(self, phase: str, done: int, total: int, label: str) -> None:
        if phase != self._phase or self._bar is None:
            self.close()
            self._phase, self._bar = phase, Progress(total, phase)
        self._bar.at(done, total)

    def close(self) -> None:
        """Clears the bar."""
        if self._bar is not None:
            self._bar.close()
