"""Streams that share engines and one thread: what is due is done in the order in which it was due, several streams at a time.

A state machine: it is told the time, and has no threads and no devices. While the thread keeps up, one stream at a time is due
and is worked on at once. When it is late, several are due, and the runs of their encoders are put together
(`voxface.runtime.engines.packing`), which costs less. So a busy pool is more efficient than an idle one, and nobody waits for
others to come. The events of a stream are those that it would give alone.
"""

from collections import deque
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.engines.packing import PACKED, carried_out
from voxface.runtime.errors import UsageError
from voxface.runtime.live.events import Event
from voxface.runtime.live.scheduler import Scheduler
from voxface.runtime.live.session import LiveSession

Key = TypeVar("Key", bound=Hashable)

# The most streams in a turn. Beyond it a batch gains nothing more, and the first stream of a turn waits for the last one.
MOST: Final = 8


@dataclass(frozen=True)
class Heard(Generic[Key]):
    """What a stream made of a piece of its sound.

    Attributes:
        key: the stream.
        events: what it found, in order.
        due_ns: when the piece was due.
        late_ns: how long after that its events were ready.
        error: what ended the stream, a bug; None: it goes on. Engines that fail give the event `EngineFailed` and end nothing.
    """

    key: Key
    events: list[Event]
    due_ns: int
    late_ns: int
    error: Exception | None = None


@dataclass
class _Pooled:
    session: LiveSession
    pieces: deque[tuple[int, NDArray[np.int16]]]  # when each is due, and its sound


class StreamPool(Generic[Key]):
    """Sessions by their keys, which any hashable value can be. Not thread-safe.

    pool = voice_to_face.stream_pool()
    pool.open("anna", voice_to_face.live_session(config))
    pool.push("anna", samples, due_ns)
    for heard in pool.turn():
        show(heard.key, heard.events)
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        most: int = MOST,
        packed: frozenset[str] = PACKED,
        skip_when_behind: bool = False,
        using: Callable[[], AbstractContextManager[object]] = nullcontext,
        counted: Callable[[str, int], None] = lambda graph, size: None,
    ) -> None:
        """Args:
            now_ns: the clock, in nanoseconds since any fixed moment; due times count from the same.
            most: the most streams that a turn works on; 1: each by itself.
            packed: names of the graphs whose runs are put together.
            skip_when_behind: whether a stream whose next piece is due as well may leave estimates out (event `Skipped`).
            using: makes a context that is entered for each turn, so that no other thread uses the engines meanwhile.
            counted: gets the name of the graph and the number of runs in it, for each run of an engine.

        Raises:
            UsageError: `most` is less than 1.
        """
        if most < 1:
            raise UsageError(f"a turn of {most} streams does nothing; give at least 1")
        self._now_ns, self._most, self._packed, self._counted = now_ns, most, packed, counted
        self._skip_when_behind, self._using = skip_when_behind, using
        self._scheduler: Scheduler[Key] = Scheduler()
        self._streams: dict[Key, _Pooled] = {}

    def __len__(self) -> int:
        """Number of streams."""
        return len(self._streams)

    @property
    def next_due_ns(self) -> int | None:
        """When the piece that is due first is or was due; None: no sound waits."""
        return self._scheduler.next_due_ns

    def open(self, key: Key, session: LiveSession) -> None:
        """Takes a new session, which nobody else feeds.

        Raises:
            UsageError: there is a stream of that key.
        """
        if key in self._streams:
            raise UsageError(f"the pool has a stream {key!r} already")
        self._streams[key] = _Pooled(session, deque())

    def push(self, key: Key, samples: NDArray[np.int16], due_ns: int) -> None:
        """Takes the next sound of a stream, int16 [n] at 16 kHz, to be worked on from `due_ns` on: usually when it was heard.

        Raises:
            UsageError: there is no stream of that key, or an earlier piece of it is due later.
        """
        stream = self._stream(key)
        if stream.pieces and stream.pieces[-1][0] > due_ns:
            raise UsageError(f"the sound of stream {key!r} is due before that which came before it")
        stream.pieces.append((due_ns, samples))
        self._scheduler.ready(key, stream.pieces[0][0])

    def turn(self) -> list[Heard[Key]]:
        """Works on what is due: one piece of each of at most `most` streams, those due first. Nothing is due: an empty list.

        Raises:
            UsageError: the engines were freed.
        """
        now, taken = self._now_ns(), list[Key]()
        while len(taken) < self._most:
            due = self._scheduler.next_due_ns
            if due is None or due > now:
                break
            key = self._scheduler.take()
            assert key is not None  # something is due
            taken.append(key)
        if not taken:
            return []
        streams = [self._streams[key] for key in taken]
        dues, ended, work = [], [now] * len(taken), []
        try:
            with self._using():
                for stream in streams:
                    due_ns, samples = stream.pieces.popleft()
                    behind = self._skip_when_behind and bool(stream.pieces) and stream.pieces[0][0] <= now
                    dues.append(due_ns)
                    work.append(stream.session.feed_steps(samples, behind=behind))

                def end(place: int, _: object) -> None:
                    ended[place] = self._now_ns()

                outcomes = carried_out(work, packed=self._packed, counted=self._counted, ended=end)
        finally:
            for key, stream in zip(taken, streams, strict=True):
                self._scheduler.done(key, stream.pieces[0][0] if stream.pieces else None)
        heard = []
        for key, outcome, due_ns, ended_ns in zip(taken, outcomes, dues, ended, strict=True):
            if isinstance(outcome, Exception):
                self.close(key)
                heard.append(Heard(key, [], due_ns, ended_ns - due_ns, outcome))
            else:
                heard.append(Heard(key, outcome, due_ns, ended_ns - due_ns))
        return heard

    def finish(self, key: Key) -> list[Event]:
        """Ends a stream, and returns its last events, those of the sound that waits included.

        Raises:
            UsageError: there is no stream of that key, or the engines were freed.
        """
        stream = self._stream(key)
        with self._using():
            events: list[Event] = []
            for _, samples in stream.pieces:
                events += stream.session.feed(samples)
            events += stream.session.finish()
        self.close(key)
        return events

    def close(self, key: Key) -> None:
        """Ends a stream at once, without another event. One that is not there is no error."""
        self._streams.pop(key, None)
        self._scheduler.forget(key)

    def _stream(self, key: Key) -> _Pooled:
        if key not in self._streams:
            raise UsageError(f"the pool has no stream {key!r}")
        return self._streams[key]
