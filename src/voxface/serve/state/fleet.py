"""How many replicas there are for live sessions, and which of them gets the next one. A state machine; times are handed in.

A session stays where it began, so replicas are filled one after the other, which lets those whose sessions have ended go away;
and there is always some room before the next client comes, since a replica takes seconds to start.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NS: Final = 1_000_000_000
FILL: Final = 0.75  # of its room, up to which a replica is filled before the next one is
RETRY_S: Final = 5.0  # after a replica that did not start; doubled each time
LONGEST_RETRY_S: Final = 80.0


@dataclass
class Seat:
    """A replica as the fleet knows it.

    Attributes:
        number: of the replica.
        ready: whether it has started.
        load: predicted seconds of its thread a second.
        sessions: number of its sessions.
        idle_ns: since when it has none; None: it has some, or has not started.
    """

    number: int
    ready: bool = False
    load: float = 0.0
    sessions: int = 0
    idle_ns: int | None = None


@dataclass(frozen=True)
class Scaling:
    """What is to be done: how many replicas are to be started, and which are to go."""

    start: int = 0
    retire: tuple[int, ...] = ()


class Fleet:
    """The replicas.

    Attributes:
        seats: they, by number; whoever has them keeps their load and sessions.
        failed: number of replicas that did not start.
    """

    def __init__(self, least: int, most: int, *, load: float, sessions: int, idle_s: float) -> None:
        """Args:
        least, most: how many replicas there are at least and at most.
        load: the load beyond which a replica gets no session.
        sessions: the most sessions of a replica.
        idle_s: how long a replica has no session before it goes away.
        """
        self._least, self._most, self._idle_s = least, most, idle_s
        self._load, self._sessions = load, sessions
        self._next = 1
        self._not_before = 0
        self._failures = 0  # in a row
        self._missed = False
        self.seats: dict[int, Seat] = {}
        self.failed = 0

    def begin(self) -> Seat:
        """A replica is being started."""
        seat = self.seats[self._next] = Seat(self._next)
        self._next += 1
        return seat

    def ready(self, number: int, now_ns: int) -> None:
        """It has started."""
        seat = self.seats[number]
        seat.ready, seat.idle_ns = True, now_ns
        self._failures = 0

    def did_not_start(self, number: int, now_ns: int) -> None:
        """It did not start; the next attempt waits a while."""
        self.gone(number)
        self.failed += 1
        wait_s = min(RETRY_S * 2**self._failures, LONGEST_RETRY_S)
        self._failures += 1
        self._not_before = now_ns + round(wait_s * NS)

    def gone(self, number: int) -> None:
        """It is gone."""
        self.seats.pop(number, None)

    def count(self, ready: bool) -> int:
        """How many have started, or have not."""
        return sum(seat.ready == ready for seat in self.seats.values())

    def choose(self, share: float, load: float | None = None) -> Seat | None:
        """The replica for a session of this share; None: none has room.

        Of those that it fills no further than `FILL`, the fullest; else the emptiest.

        Args:
            share: seconds of a thread a second.
            load: another load beyond which a replica gets no session; None: the usual one.
        """
        most = self._load if load is None else load
        found: list[tuple[float, Seat]] = []
        for seat in self.seats.values():
            # The first session of a replica is let in whatever it takes: a slow machine may serve one all the same.
            fits = seat.load + share <= most + 1e-9 or not seat.load
            if seat.ready and seat.sessions < self._sessions and fits:
                found.append((self._fill(seat.load + share, seat.sessions + 1), seat))
        easy = [each for each in found if each[0] <= FILL + 1e-9]
        if easy:
            return max(easy, key=lambda each: (each[0], -each[1].number))[1]
        return min(found, key=lambda each: (each[0], each[1].number))[1] if found else None

    def missed(self) -> None:
        """A session was refused, since none had room."""
        self._missed = True

    def changed(self, number: int, load: float, sessions: int, now_ns: int) -> None:
        """What a replica works on is another now."""
        seat = self.seats.get(number)
        if seat is None:
            return
        seat.load, seat.sessions = load, sessions
        if sessions:
            seat.idle_ns = None
        elif seat.idle_ns is None and seat.ready:
            seat.idle_ns = now_ns

    def scale(self, now_ns: int, waiting: Iterable[float] = ()) -> Scaling:
        """What is to be done now.

        Args:
            now_ns: the time.
            waiting: shares of sessions that have no replica.
        """
        shares = [*waiting]
        seats = self.seats.values()
        load = sum(seat.load for seat in seats) + sum(shares)
        sessions = sum(seat.sessions for seat in seats) + len(shares)
        wanted = math.ceil(self._fill(load, sessions) / FILL - 1e-9)
        if self._missed and all(seat.ready for seat in seats):
            wanted = max(wanted, len(seats) + 1)
        self._missed = False
        wanted = min(self._most, max(self._least, wanted))
        if len(seats) < wanted:
            return Scaling(start=0 if now_ns < self._not_before else wanted - len(seats))
        idle = [s.number for s in seats if s.idle_ns is not None and now_ns - s.idle_ns >= self._idle_s * NS]
        spare = self.count(ready=True) - wanted  # none goes in favour of one that has not started
        return Scaling(retire=tuple(sorted(idle, reverse=True)[: max(0, spare)]))

    def _fill(self, load: float, sessions: int) -> float:
        return max(load / self._load, sessions / self._sessions)
