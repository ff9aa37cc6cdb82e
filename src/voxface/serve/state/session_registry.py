"""The sessions of a server: who is let in, who is gone for how long, who may come back. A state machine; times are handed in.

A session is "open" while a client is connected and "away" after it was cut off; one that is away may be resumed until its time
is over. Its id is a secret of client and server, since whoever has it may resume the session.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from voxface.serve.state.limits import Limits

NS: Final = 1_000_000_000
State = Literal["open", "away"]
Refusal = Literal["draining", "full", "address", "load", "late"]
Ending = Literal[
    "finished",
    "idle",
    "not resumed",
    "too long",
    "draining",
    "failed",
    "garbage",
    "too fast",
    "overload",
]
YOUNG_S: Final = 15.0  # how long a session may still turn out to have been one too many
EXCESS: Final = 10  # one of so many sessions is ended at a time
RETRY_S: Final = {"draining": 5.0, "full": 10.0, "address": 10.0, "load": 10.0, "late": 5.0}
IN_WORDS: Final[dict[str, str]] = {
    "draining": "the server is being shut down",
    "full": "as many sessions as may be are open",
    "address": "as many sessions as may be from one address are open",
    "load": "one more session would slow down the others",
    "late": "the updates of the open sessions are late already",
}


@dataclass(frozen=True)
class Refused:
    """No session: why, and in how many seconds to try again."""

    reason: Refusal
    retry_s: float


@dataclass
class Entry:
    """A session as the registry knows it.

    Attributes:
        id: its secret name.
        address: of its client.
        state: "open" or "away".
        began_ns, heard_ns, away_ns: when it began, when its client last sent anything, since when it is away.
        connection: number of the client's connection; a resumed session has another.
    """

    id: str
    address: str
    began_ns: int
    heard_ns: int
    state: State = "open"
    away_ns: int = 0
    connection: int = 1


class SessionRegistry:
    """The sessions, by their ids.

    Attributes:
        draining: whether no session is let in any more.
        refused: number of refusals by reason.
        ended: number of sessions that ended, by reason.
        opened, resumed: number of sessions let in, and of those that came back.
    """

    def __init__(self, limits: Limits, new_id: Callable[[], str]) -> None:
        """`new_id` makes ids that cannot be guessed."""
        self._limits, self._new_id = limits, new_id
        self._entries: dict[str, Entry] = {}
        self._of_address: Counter[str] = Counter()
        self.draining = False
        self.refused: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.opened = self.resumed = 0

    def __len__(self) -> int:
        return len(self._entries)

    def count(self, state: State) -> int:
        """How many sessions are in a state."""
        return sum(entry.state == state for entry in self._entries.values())

    def get(self, session: str) -> Entry | None:
        """A session; None: there is none of this id."""
        return self._entries.get(session)

    def admit(
        self, address: str, now_ns: int, *, room: bool = True, load: float = 0.0, late_s: float = 0.0
    ) -> Entry | Refused:
        """Lets a session in, or says why not.

        Args:
            address: of the client.
            room: whether there is anything that could work on it.
            load: the share of the time of the thread that would work on it that its sessions, with this one, are predicted to
                take; those whose client is away take none.
            late_s: how late updates are, 95th percentile.
        """
        limits = self._limits
        reason: Refusal | None = None
        if self.draining:
            reason = "draining"
        elif not room or len(self._entries) >= limits.sessions:
            reason = "full"
        elif self._of_address[address] >= limits.sessions_of_address:
            reason = "address"
        elif (
            self.count("open") and load > limits.load
        ):  # the first is let in: a slow machine may serve one all the same
            reason = "load"
        elif self.count("open") and late_s > limits.late_s:
            reason = "late"
        if reason is not None:
            return self._refuse(reason)
        entry = Entry(self._new_id(), address, now_ns, now_ns)
        self._entries[entry.id] = entry
        self._of_address[address] += 1
        self.opened += 1
        return entry

    def _refuse(self, reason: Refusal) -> Refused:
        self.refused[reason] += 1
        return Refused(reason, RETRY_S[reason])

    def resume(self, session: str, now_ns: int, *, load: float = 0.0) -> Entry | Refused | None:
        """Gives a session to a new connection, also one whose old connection is still open; None: there is no such session.

        Others may have come while its client was away, and take the time that it took. It may go on beyond the load at which
        new sessions are refused, up to `resume_load`; beyond that it is told to come later, and its time goes on.

        Args:
            load: as for `admit`, with this session.
        """
        entry = self._entries.get(session)
        if entry is None:
            return None
        if entry.state == "away" and self.count("open") and load > self._limits.resume_load:
            return self._refuse("load")
        entry.state, entry.heard_ns = "open", now_ns
        entry.connection += 1
        self.resumed += 1
        return entry

    def heard(self, session: str, now_ns: int) -> None:
        """Its client sent something."""
        entry = self._entries.get(session)
        if entry is not None:
            entry.heard_ns = now_ns

    def cut_off(self, session: str, connection: int, now_ns: int) -> None:
        """A connection is gone; that of a session that was resumed meanwhile changes nothing."""
        entry = self._entries.get(session)
        if entry is not None and entry.connection == connection and entry.state == "open":
            entry.state, entry.away_ns = "away", now_ns

    def end(self, session: str, why: Ending) -> bool:
        """Ends a session; whether there was one."""
        entry = self._entries.pop(session, None)
        if entry is None:
            return False
        self._of_address[entry.address] -= 1
        if not self._of_address[entry.address]:
            del self._of_address[entry.address]
        self.ended[why] += 1
        return True

    def due(self, now_ns: int) -> list[tuple[str, Ending]]:
        """The sessions whose time is over, and why; `end` ends them."""
        limits, found = self._limits, list[tuple[str, Ending]]()
        for entry in self._entries.values():
            if entry.state == "away":
                if now_ns - entry.away_ns >= limits.resume_s * NS:
                    found.append((entry.id, "not resumed"))
            elif now_ns - entry.heard_ns >= limits.idle_s * NS:
                found.append((entry.id, "idle"))
            elif now_ns - entry.began_ns >= limits.session_s * NS:
                found.append((entry.id, "too long"))
        return found

    def excess(self, late_s: float, now_ns: int) -> list[str]:
        """The sessions that were one too many, the youngest first: many may come before any has shown what it costs. They are
        told so within their first seconds, and those that were there before keep their pace; older ones are never among them.

        Args:
            late_s: how late a half of the updates are at least; a hiccup delays fewer.
        """
        if late_s <= self._limits.late_s or len(self._entries) < 2:
            return []
        young = [entry for entry in self._entries.values() if now_ns - entry.began_ns < YOUNG_S * NS]
        young.sort(key=lambda entry: -entry.began_ns)
        most = min(-(-len(self._entries) // EXCESS), len(self._entries) - 1)
        return [entry.id for entry in young[:most]]

    def drain(self) -> None:
        """Lets no session in any more."""
        self.draining = True
