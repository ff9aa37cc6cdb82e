"""A sink worker delivers events to a sink through a bounded queue, in which a newer face replaces a face that still waits.

A slow or failing sink affects neither the session nor other sinks; the events that it misses are counted.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from voxface.runtime.errors import VoxfaceError
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.clock import Clock, Task
from voxface.runtime.live.events import Event, FaceEstimated

MOST_WAITING: Final = 4000  # items; with 20 ms of sound each, 80 s

Where = Literal["here", "thread", "main"]


@dataclass(frozen=True)
class SinkEvent:
    """An event on its way to the sinks.

    Attributes:
        event: the event.
        fed: absolute sample up to which the session had been fed.
        latency_ns: the stages of a face, see `voxface.runtime.live.pipeline.STAGES`; None for other events.
        done_ns: when the event came from the session, nanoseconds of the clock.
    """

    event: Event
    fed: int
    latency_ns: dict[str, int] | None
    done_ns: int

    @property
    def latency_ms(self) -> dict[str, float] | None:
        """The stages in milliseconds."""
        return None if self.latency_ns is None else {name: ns / 1e6 for name, ns in self.latency_ns.items()}


class Sink(Protocol):
    """A receiver of events. An exception that it raises ends this sink alone.

    Attributes:
        name: its name in counters.
        keeps_all: whether it gets every face; else a newer face may replace one that waits.
        wants_audio: whether it gets the sound too.
    """

    name: str
    keeps_all: bool
    wants_audio: bool

    def audio(self, audio: Audio) -> None:
        """Takes sound that the session is fed, before the events that the sound causes."""
        ...

    def event(self, sink_event: SinkEvent) -> None:
        """Takes an event."""
        ...

    def close(self) -> None:
        """Ends the sink; it writes what it still holds."""
        ...


class SinkWorker:
    """Delivers items to one sink: in the caller ("here"), on a thread of its own, or on the main thread when that drains it.

    Attributes:
        sink: the sink.
        superseded: number of faces that a newer face replaced before they were delivered.
        dropped: number of items dropped because the sink was too slow.
        error: the exception that ended the sink; None while it works.
    """

    def __init__(
        self, sink: Sink, clock: Clock, where: Where, delivered: Callable[[int], None], most_waiting: int = MOST_WAITING
    ) -> None:
        """`delivered` is called with the nanoseconds that each face took from the session to the end of the sink's work."""
        self.sink = sink
        self._clock, self._where, self._delivered, self._most = clock, where, delivered, most_waiting
        self._changed = clock.monitor()
        self._waiting: deque[list[Audio | SinkEvent]] = deque()  # an empty list is a face that was replaced
        self._face: list[Audio | SinkEvent] | None = None
        self._closed = False
        self._task: Task | None = None
        self.superseded = self.dropped = 0
        self.error: Exception | None = None
        if where == "thread":
            self._task = clock.start(self._work, f"voxface-{sink.name}")

    @property
    def on_main(self) -> bool:
        """Whether the main thread has to call `drain`."""
        return self._where == "main"

    def offer(self, item: Audio | SinkEvent) -> None:
        """Hands over an item; never waits, except for a sink that works in the caller."""
        if self.error is not None or (isinstance(item, Audio) and not self.sink.wants_audio):
            return
        if self._where == "here":
            self._deliver(item)
            return
        with self._changed:
            slot = [item]
            if isinstance(item, SinkEvent) and isinstance(item.event, FaceEstimated) and not self.sink.keeps_all:
                if self._face:
                    self._face.clear()
                    self.superseded += 1
                self._face = slot
            self._waiting.append(slot)
            if len(self._waiting) > self._most and self._waiting.popleft():
                self.dropped += 1
            self._changed.notify()

    def drain(self) -> None:
        """Delivers all waiting items on the calling thread."""
        while True:
            with self._changed:
                if not self._waiting:
                    return
                slot = self._waiting.popleft()
                item = slot.pop() if slot else None
            if item is not None and self.error is None:
                self._deliver(item)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Delivers all waiting items and closes the sink; returns whether that was done in time."""
        if self._where != "thread":
            self.drain()
            self._close_sink()
            return True
        with self._changed:
            self._closed = True
            self._changed.notify()
        return self._task is not None and self._task.join(timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(lambda: bool(self._waiting) or self._closed)
                if not self._waiting:
                    break
            self.drain()
        self._close_sink()

    def _deliver(self, item: Audio | SinkEvent) -> None:
        try:
            if isinstance(item, Audio):
                self.sink.audio(item)
                return
            self.sink.event(item)
            if isinstance(item.event, FaceEstimated):
                self._delivered(self._clock.now_ns() - item.done_ns)
        except Exception as error:  # a full disk, a closed pipe, a broken window: this sink ends, the session goes on
            self.error = error
            self._log(error, "ended, the rest goes on")
            self._close_sink()

    def _close_sink(self) -> None:
        try:
            self.sink.close()
        except Exception as error:
            self._log(error, "did not close")
            self.error = self.error or error

    def _log(self, error: Exception, what: str) -> None:
        """Tells at once, while a long session goes on, and keeps the place in the code where it happened."""
        import logging  # a session without failures need not wait for it

        logger = logging.getLogger(__name__)
        # A reader that goes away, as in `… | head`, is no failure.
        level = logging.INFO if isinstance(error, BrokenPipeError) else logging.WARNING
        logger.log(level, "the sink %s %s (%s)", self.sink.name, what, cause_of(error))
        logger.debug("the sink %s: traceback", self.sink.name, exc_info=error)


def cause_of(error: BaseException) -> str:
    """An exception in one line; with its type, unless it was raised with a sentence for users."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, VoxfaceError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
