"""When a batch of runs is started: once as many as fit are there, or nobody else can join, or the first has waited long enough.

A state machine; times are handed in.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Request = TypeVar("Request")
MOST: Final = 16  # runs in a batch


@dataclass(frozen=True)
class _Waiting(Generic[Request]):
    request: Request
    deadline_ns: int


class BatchQueue(Generic[Request]):
    """Requests that wait for others of the same shape.

    Attributes:
        working: number of threads that are within a turn, so that more requests may come from them.
    """

    def __init__(self, longest_wait_ns: int, most: int = MOST) -> None:
        """Args:
        longest_wait_ns: how long a request waits for others, at most.
        most: requests in a batch.
        """
        self._wait, self._most = longest_wait_ns, most
        self._groups: dict[Hashable, list[_Waiting[Request]]] = {}
        self.working = 0

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return sum(map(len, self._groups.values()))

    def add(self, shape: Hashable, request: Request, now_ns: int) -> None:
        """Adds a request; those of one shape can be run together."""
        self._groups.setdefault(shape, []).append(_Waiting(request, now_ns + self._wait))

    def take(self, now_ns: int) -> list[Request]:
        """A batch to run now; empty: the requests wait for others."""
        shape = self._startable(now_ns)
        if shape is None:
            return []
        group = self._groups.pop(shape)
        if group[self._most :]:
            self._groups[shape] = group[self._most :]
        return [waiting.request for waiting in group[: self._most]]

    def startable(self, now_ns: int) -> bool:
        """Whether `take` would give a batch."""
        return self._startable(now_ns) is not None

    def next_deadline_ns(self) -> int | None:
        """When a batch has to be run at the latest; None: nothing waits."""
        return min((group[0].deadline_ns for group in self._groups.values()), default=None)

    def _startable(self, now_ns: int) -> Hashable | None:
        """The shape whose oldest request has waited longest, among those that can be run now."""
        nobody_joins = self.waiting >= self.working
        found = [
            (group[0].deadline_ns, place, shape)
            for place, (shape, group) in enumerate(self._groups.items())
            if nobody_joins or len(group) >= self._most or group[0].deadline_ns <= now_ns
        ]
        return min(found)[2] if found else None
