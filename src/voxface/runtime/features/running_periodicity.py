"""How much of the newest speech of a stream is periodic, found out no sooner than it matters.

A frame judged by itself costs several times what it costs among others, and nearly always what was judged before says enough.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.features.periodicity import FRAME, LEAST_PERIODIC, PeriodicityMeter

LOT: Final = 50  # frames judged at once, 2 s


class RunningPeriodicity:
    """Takes the speech of one stream; asked again and again."""

    def __init__(self, longest: int) -> None:
        """It will be asked about `longest` samples at most."""
        self._most = max(1, longest // FRAME)
        self._meter = PeriodicityMeter()
        self._waiting: list[NDArray[np.int16]] = []
        self._samples = 0
        self._known = np.empty(0, np.bool_)  # the newest of the judged frames

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Takes int16 [n] at 16 kHz."""
        self._waiting.append(samples)
        self._samples += len(samples)

    def share(self, newest: int) -> float:
        """Share of the judged frames of the newest samples that are periodic, 1 while there is none.

        It is at least `LEAST_PERIODIC` if and only if that of all their frames is: when the judged ones leave that open, the
        others are judged at once.
        """
        wanted = min(newest // FRAME, self._most)
        waiting = self._samples // FRAME - self._meter.frames
        periodic = self._periodic(wanted - waiting)
        if waiting < LOT and periodic >= LEAST_PERIODIC * wanted > 0:
            return periodic / (wanted - waiting)
        self._judge()
        return self._periodic(wanted) / wanted if wanted else 1.0

    def _periodic(self, newest: int) -> int:
        return int(np.count_nonzero(self._known[-newest:])) if newest > 0 else 0

    def _judge(self) -> None:
        fresh = self._meter.feed(np.concatenate(self._waiting)) if self._waiting else self._known[:0]
        self._known = np.concatenate([self._known, fresh])[-self._most :]
        self._waiting.clear()
