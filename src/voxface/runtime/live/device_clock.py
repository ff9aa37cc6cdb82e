"""A device compared with the clock: samples lost without a report, and drift. A pure state machine.

Some drivers lose sound without reporting it: PortAudio on PulseAudio reported no overflow after a stall of 300 ms. A block may
arrive late, but never early. So a rise of the least lateness within a second shows lost sound, and its slow change over
minutes shows drift.
"""

from typing import Final

SETTLE_S: Final = 1.0
TOLERANCE_S: Final = 0.06
DRIFT_S: Final = 10.0


class DeviceClock:
    """Compares the blocks of one stream with the clock.

    Attributes:
        lost_frames: number of frames found missing so far.
        latest_s: the longest time in seconds that a block came after it was due.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frames = 0  # delivered and lost
        self._began: int | None = None
        self._usual: float | None = None  # lateness in regular operation, followed slowly
        self._least = self._least_long = float("inf")
        self._second_ends = self._long_ends = 0.0
        self._first: tuple[float, float] | None = None
        self._newest: tuple[float, float] | None = None
        self.lost_frames = 0
        self.latest_s = 0.0

    def feed(self, frames: int, now_ns: int) -> int:
        """Counts a block of `frames` that arrived at `now_ns`; returns the number of frames lost before it, mostly 0."""
        if self._began is None:
            self._began = now_ns - round(frames / self._rate * 1e9)
            self._second_ends, self._long_ends = SETTLE_S, DRIFT_S
        elapsed = (now_ns - self._began) / 1e9
        self._frames += frames
        lateness = elapsed - self._frames / self._rate
        self._least = min(self._least, lateness)
        self._least_long = min(self._least_long, lateness)
        self.latest_s = max(self.latest_s, lateness - (self._usual or 0.0))
        missing = 0
        if elapsed >= self._second_ends:
            if self._usual is None or self._least < self._usual:
                self._usual = self._least
            elif self._least - self._usual > TOLERANCE_S:
                missing = round((self._least - self._usual) * self._rate)
                self._frames += missing
                self.lost_frames += missing
                self._least_long = float(
                    "inf"
                )  # the lateness before the correction must not be mixed with that after it
            else:
                self._usual += 0.05 * (self._least - self._usual)
            self._least = float("inf")
            self._second_ends = elapsed + SETTLE_S
        if elapsed >= self._long_ends:
            if self._least_long < float("inf"):
                self._newest = (elapsed, self._least_long)
                self._first = self._first or self._newest
            self._least_long = float("inf")
            self._long_ends = elapsed + DRIFT_S
        return missing

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the device counts than the clock, in parts per million; None within the first 20 s."""
        if self._first is None or self._newest is None or self._newest[0] <= self._first[0]:
            return None
        return (self._first[1] - self._newest[1]) / (self._newest[0] - self._first[0]) * 1e6
