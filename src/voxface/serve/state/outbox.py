"""The answers of one session: numbered, so that a client that comes back gets what it missed.

Bounded. Of answers that were sent the oldest go first. Of a client that reads too slowly, or stays away, faces go next, since a
newer one takes their place, then the oldest of the rest.
"""

from collections import deque
from dataclasses import dataclass

Part = str | bytes  # a text message, or a binary one


@dataclass(frozen=True)
class Answer:
    """The messages that belong together: an event, and what is sent in binary with it.

    Attributes:
        number: of the event, from 1 on.
        parts: the messages, in order.
        replaceable: whether a newer answer takes its place.
    """

    number: int
    parts: tuple[Part, ...]
    replaceable: bool = False

    @property
    def size(self) -> int:
        """Its length, in bytes or letters."""
        return sum(map(len, self.parts))


class Outbox:
    """Answers in order. What was sent is kept for a client that comes back, as far as there is room.

    Attributes:
        number: of the newest answer; 0: there is none.
        superseded: answers dropped before they were sent.
    """

    def __init__(self, most_bytes: int, most_replaceable: int | None = None) -> None:
        """Args:
        most_bytes: bytes that are kept.
        most_replaceable: how many replaceable answers may wait to be sent; None: any number.
        """
        self._most, self._most_replaceable = most_bytes, most_replaceable
        self._sent: deque[Answer] = deque()
        self._waiting: deque[Answer] = deque()
        self._bytes = 0
        self.number = self.superseded = 0

    def __len__(self) -> int:
        """Number of answers that wait to be sent."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait to be sent."""
        return sum(answer.size for answer in self._waiting)

    def add(self, answer: Answer) -> None:
        """Adds the next answer; its number is above that of the answer before."""
        self.number = answer.number
        self._waiting.append(answer)
        self._bytes += answer.size
        if answer.replaceable and self._most_replaceable is not None:
            faces = [each for each in self._waiting if each.replaceable]
            for gone in faces[: max(0, len(faces) - self._most_replaceable)]:
                self._supersede(gone)
        while self._bytes > self._most and (self._sent or len(self._waiting) > 1):
            self._drop()

    def take(self) -> Answer | None:
        """The oldest answer that waits; it counts as sent from now on. None: there is none."""
        if not self._waiting:
            return None
        answer = self._waiting.popleft()
        self._sent.append(answer)
        return answer

    def rewind(self, received: int) -> None:
        """The client has everything up to number `received`, and gets the rest again, as far as it was kept."""
        kept = [*self._sent, *self._waiting]
        self._sent = deque(answer for answer in kept if answer.number <= received)
        self._waiting = deque(answer for answer in kept if answer.number > received)

    def _drop(self) -> None:
        if self._sent:
            self._bytes -= self._sent.popleft().size
            return
        older = list(self._waiting)[:-1]  # the newest stays, whatever it is
        gone = next((answer for answer in older if answer.replaceable), older[0])
        self._supersede(gone)

    def _supersede(self, gone: Answer) -> None:
        self._waiting.remove(gone)
        self._bytes -= gone.size
        self.superseded += 1
