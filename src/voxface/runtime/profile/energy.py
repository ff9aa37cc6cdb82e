"""Energy that the processor took, from the counters that Linux has of it (RAPL: Intel's since 2011, AMD's since Zen)."""

from pathlib import Path
from typing import Final

COUNTERS: Final = Path("/sys/class/powercap")


class EnergyMeter:
    """Reads the counters of every processor package; they count all that runs there, this process or not.

    A counter starts again at 0 after its largest value, some minutes apart at full load; `look` between two readings notices
    one such start each time.
    """

    def __init__(self, counters: Path = COUNTERS) -> None:
        """Begins to measure.

        Args:
            counters: folder of the system with a folder for each counter.
        """
        self._files: list[tuple[Path, int]] = []
        for zone in sorted(counters.glob("intel-rapl:*")):
            try:
                if (zone / "name").read_text().startswith("package"):
                    self._files.append((zone / "energy_uj", int((zone / "max_energy_range_uj").read_text())))
            except (OSError, ValueError):  # only root may read them on many systems
                continue
        self._last = self._read()
        self._microjoules = 0

    def look(self) -> None:
        """Adds what has been used since the last look."""
        now = self._read()
        if now is None or self._last is None:
            self._last = None
            return
        for (_, largest), before, after in zip(self._files, self._last, now, strict=True):
            self._microjoules += after - before if after >= before else after - before + largest
        self._last = now

    def joules(self) -> float | None:
        """Joules of all packages since the beginning; None where the system does not tell."""
        self.look()
        return None if self._last is None else self._microjoules / 1e6

    def _read(self) -> list[int] | None:
        try:
            return [int(file.read_text()) for file, _ in self._files] or None
        except (OSError, ValueError):
            return None
