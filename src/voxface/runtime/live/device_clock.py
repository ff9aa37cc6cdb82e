"""What a device delivers against the clock: samples that were lost without a word, and drift. A pure state machine.

Drivers lose sound without saying so (PortAudio on PulseAudio told of no overflow after a stall of 300 ms). A block may come
late, never early; so the least lateness over a second tells of lost sound, and how it moves over minutes of drift.
"""

from typing import Final

SETTLE_S: Final = 1.0
TOLERANCE_S: Final = 0.06
DRIFT_S: Final = 10.0


class DeviceClock:
    """Watches one stream.

    Attributes:
        lost_frames: frames found missing so far.
        latest_s: the most that a block came after its time.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frames = 0  # delivered and lost
        self._began: int | None = None
        self._usual: float | None = None  # lateness when all is well, followed slowly
        self._least = self._least_long = float("inf")
        self._second_ends = self._long_ends = 0.0
        self._first: tuple[float, float] | None = None
        self._newest: tuple[float, float] | None = None
        self.lost_frames = 0
        self.latest_s = 0.0

    def feed(self, frames: int, now_ns: int) -> int:
        """A block of `frames` arrived at `now_ns`; returns how many frames went missing before it, mostly 0."""
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
                self._least_long = float("inf")  # not to be mixed with what was measured before
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
        """How much faster the device counts than the clock, parts in a million; None within the first 20 s."""
        if self._first is None or self._newest is None or self._newest[0] <= self._first[0]:
            return None
        return (self._first[1] - self._newest[1]) / (self._newest[0] - self._first[0]) * 1e6
