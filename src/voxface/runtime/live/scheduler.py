"""Whose turn it is: the session whose oldest sound was due first. A state machine.

A turn is at most one hop of sound, and a session stands in the queue at most once, behind all whose sound was due before. So
nobody waits for ever: what is due at a time has at most those before it that were due earlier. Sound that a client sends faster
than it is spoken is to be due later than it comes (`voxface.serve.state.sound_queue`), so that nobody gains by hurry.
"""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Scheduler(Generic[Key]):
    """Keys that are ready, by when they are due; one that has its turn is not given out again until it is `done`."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, Key]] = []
        self._due: dict[Key, int] = {}  # of keys that are ready
        self._running: set[Key] = set()
        self._order = 0

    def __len__(self) -> int:
        """Number of keys that are ready."""
        return len(self._due)

    @property
    def running(self) -> int:
        """Number of keys that have their turn."""
        return len(self._running)

    def ready(self, key: Key, due_ns: int) -> None:
        """There is something to do for `key`, due at that time; nothing changes if it is ready already, or has its turn."""
        if key in self._due or key in self._running:
            return
        self._due[key] = due_ns
        self._order += 1
        heapq.heappush(self._queue, (due_ns, self._order, key))

    @property
    def next_due_ns(self) -> int | None:
        """When what is due first is or was due; None: nothing is ready."""
        while self._queue:
            due, _, key = self._queue[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._queue)  # forgotten
        return None

    def take(self) -> Key | None:
        """Gives the turn to the key that is due first; None: none is ready."""
        while self._queue:
            due, _, key = heapq.heappop(self._queue)
            if self._due.get(key) != due or key in self._running:
                continue  # forgotten
            del self._due[key]
            self._running.add(key)
            return key
        return None

    def done(self, key: Key, due_ns: int | None) -> None:
        """The turn of `key` is over; there is more to do for it, due at that time, or with None nothing."""
        self._running.discard(key)
        if due_ns is not None:
            self.ready(key, due_ns)

    def forget(self, key: Key) -> None:
        """Nothing is to be done for `key` any more; a turn that it has goes on."""
        self._due.pop(key, None)
