"""Measured load: what a second of a session's sound costs the inference threads, and how late updates are.

A state machine; times are handed in. Costs are sums that fade with a half-life, so that they follow a machine that becomes
slower, and begin with what was measured before the first session (`voxface.serve.first_costs`).
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from voxface.runtime.config.live import Mode

NS: Final = 1_000_000_000
HALF_LIFE_S: Final = 20.0
FIRST_WEIGHT_S: Final = 4.0  # what was measured before counts as so many seconds of sound
LATE_S: Final = 5.0  # lateness is that of updates of the last seconds
SETTLING_S: Final = 2.0
FEWEST: Final = 20  # updates that a percentile needs


@dataclass(frozen=True)
class Kind:
    """Sessions that cost alike: mode of the encoder, and updates a second."""

    mode: Mode
    updates_per_s: float


@dataclass(frozen=True)
class FirstCosts:
    """Seconds of an inference thread, measured before there are sessions.

    Attributes:
        listening: for a second of sound, without estimates.
        update: for an estimate, by mode.
    """

    listening: float
    update: dict[Mode, float]

    def share(self, kind: Kind) -> float:
        """Seconds of a thread for a second of sound of such a session."""
        return self.listening + kind.updates_per_s * self.update[kind.mode]


class LoadMeter:
    """What sessions cost, by kind, and how late their updates are."""

    def __init__(self, first: FirstCosts) -> None:
        self._first = first
        self._sums: dict[Kind, tuple[float, float, int]] = {}  # seconds busy, seconds of sound, when
        self._late: deque[tuple[int, float]] = deque()
        self._deaf_until = 0

    def worked(self, kind: Kind, busy_s: float, sound_s: float, now_ns: int) -> None:
        """A turn took `busy_s` for `sound_s` of sound."""
        busy, sound, when = self._sums.get(kind) or (self._first.share(kind) * FIRST_WEIGHT_S, FIRST_WEIGHT_S, now_ns)
        faded = 0.5 ** ((now_ns - when) / NS / HALF_LIFE_S)
        self._sums[kind] = (busy * faded + busy_s, sound * faded + sound_s, now_ns)

    def share(self, kind: Kind) -> float:
        """Seconds of an inference thread for a second of sound of such a session."""
        busy, sound, _ = self._sums.get(kind) or (self._first.share(kind), 1.0, 0)
        if sound < 1e-3:  # faded away
            return self._first.share(kind)
        # People pause, and all of them may speak at once: a half of what was measured at first is the least that is expected.
        return max(busy / sound, self._first.share(kind) / 2)

    def updated(self, late_s: float, now_ns: int) -> None:
        """An update was ready so many seconds after its newest sound had come."""
        if now_ns >= self._deaf_until:
            self._late.append((now_ns, late_s))
        self._forget(now_ns)

    def late_s(self, now_ns: int, share: float = 0.95) -> float:
        """How late `share` of the updates of the last seconds were at most; 0 where there were too few to tell."""
        self._forget(now_ns)
        if len(self._late) < FEWEST:
            return 0.0
        ordered = sorted(late for _, late in self._late)
        return ordered[int(share * (len(ordered) - 1))]

    def nobody_left(self) -> None:
        """The last session has ended; how late its updates were is of no concern to the next."""
        self._late.clear()

    def begin_anew(self, now_ns: int) -> None:
        """Something was done about lateness: what it was before, and until what waits is worked off, tells nothing."""
        self._late.clear()
        self._deaf_until = now_ns + round(SETTLING_S * NS)

    def _forget(self, now_ns: int) -> None:
        while self._late and now_ns - self._late[0][0] > LATE_S * NS:
            self._late.popleft()
