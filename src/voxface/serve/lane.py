"""A lane: engines, the threads that run them, and the sessions whose turns they take.

With one worker, a lane has one thread. It takes the turns of up to eight sessions at a time if so many wait, and puts the runs
of their encoders together (`voxface.runtime.engines.packing`); none waits for others to come. With several workers, runs of a
graph that come within a deadline are put together (`voxface.serve.batching_engine`); each session is worked on by one of them
at a time.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

from voxface.runtime.engines.packing import carried_out
from voxface.runtime.live.clock import Clock, Task
from voxface.runtime.live.events import LossCause
from voxface.runtime.live.scheduler import Scheduler
from voxface.runtime.live.stream_pool import MOST
from voxface.serve.served_stream import ServedStream, Turn
from voxface.serve.state.sound_queue import OF_CLIENT, Piece

_log = logging.getLogger(__name__)


class Turns(Protocol):
    """What is told that a thread begins and ends a turn: `voxface.serve.batching_engine.Batches`."""

    def begin(self) -> None:
        """A thread begins a turn."""
        ...

    def end(self) -> None:
        """It ends it."""
        ...


class Lane:
    """Sessions that share engines.

    Attributes:
        sessions: number of sessions.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[ServedStream, Turn], None],
        *,
        workers: int = 1,
        batches: Turns | None = None,
        name: str = "lane",
    ) -> None:
        """Args:
        clock: starts the threads.
        deliver: gets, on a thread of the lane, what each turn gave.
        workers: number of threads.
        batches: is told of turns.
        """
        self._clock, self._deliver, self._batches = clock, deliver, batches
        self._changed = clock.monitor()
        self._most = MOST if workers == 1 else 1  # turns at a time
        self._scheduler: Scheduler[ServedStream] = Scheduler()
        self._closed = False
        self._began: dict[ServedStream, int] = {}  # of sessions that have their turn
        self.sessions = 0
        self._tasks: list[Task] = [clock.start(self._work, f"voxface-{name}-{n + 1}") for n in range(workers)]

    def open(self, stream: ServedStream) -> None:
        """A session begins."""
        with self._changed:
            self.sessions += 1

    def push(self, stream: ServedStream, samples: NDArray[Any], came_ns: int | None = None) -> int:
        """Sound of a session, which came at that time, or now; returns how many frames were dropped for it."""
        with self._changed:
            dropped = stream.queue.push(samples, self._clock.now_ns() if came_ns is None else came_ns)
            self._ready(stream)
            return dropped

    def lose(self, stream: ServedStream, frames: int, cause: LossCause = OF_CLIENT) -> None:
        """Frames of a session never arrived."""
        with self._changed:
            stream.queue.lose(frames, cause)

    def finish(self, stream: ServedStream) -> None:
        """The client of a session has finished; its last turn gives the last answers."""
        with self._changed:
            stream.queue.finish()
            self._ready(stream)

    def close_session(self, stream: ServedStream) -> None:
        """A session ends without further answers."""
        with self._changed:
            if not stream.ended:
                stream.ended = True
                self._scheduler.forget(stream)
                self.sessions -= 1

    def full(self, stream: ServedStream) -> bool:
        """Whether a client that is to wait has to."""
        with self._changed:
            return stream.queue.full

    @property
    def waiting(self) -> int:
        """Number of sessions whose sound waits for a thread."""
        return len(self._scheduler)

    def busy_s(self) -> float:
        """For how many seconds the longest of the present turns has been going on."""
        with self._changed:
            began = min(self._began.values(), default=None)
        return 0.0 if began is None else (self._clock.now_ns() - began) / 1e9

    def close(self) -> None:
        """Ends the threads after their present turns."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for task in self._tasks:
            task.join(10.0)

    def _ready(self, stream: ServedStream) -> None:
        """Within the lock: puts a session into the queue if there is something to do for it."""
        due = stream.queue.due_ns()
        if due is not None and not stream.ended:
            self._scheduler.ready(stream, due)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(lambda: self._closed or len(self._scheduler) > 0)
                if self._closed:
                    return
                pieces = self._taken()
            try:
                self._turns([(stream, piece) for stream, piece in pieces.items() if piece is not None])
            finally:
                with self._changed:
                    for stream in pieces:
                        del self._began[stream]
                        self._scheduler.done(stream, None if stream.ended else stream.queue.due_ns())
                    if len(self._scheduler):
                        self._changed.notify()

    def _taken(self) -> dict[ServedStream, Piece | None]:
        """Within the lock: the sessions whose turn it is, with their sound."""
        pieces: dict[ServedStream, Piece | None] = {}
        while len(pieces) < self._most and (stream := self._scheduler.take()) is not None:
            pieces[stream] = stream.next_piece()
            self._began[stream] = self._clock.now_ns()
        return pieces

    def _turns(self, pieces: list[tuple[ServedStream, Piece]]) -> None:
        """Works on sessions, and delivers what each gives as soon as it has ended."""
        began = self._clock.now_ns()
        if self._batches:
            self._batches.begin()

        def end(place: int, outcome: Turn | Exception) -> None:
            nonlocal began
            stream, piece = pieces[place]
            if isinstance(outcome, Exception):  # what one client's sound does to the code must not end the others
                _log.error("a session failed", exc_info=outcome)
                turn = Turn(last=True, failed=type(outcome).__name__)
            else:
                turn = outcome
            now = self._clock.now_ns()
            turn.busy_s = (now - began) / 1e9  # since the one that ended before, so that the sum is that of the thread
            turn.sound_s = len(piece.samples) / stream.hello.rate
            began = now
            self._deliver(stream, turn)

        try:
            carried_out([stream.work_steps(piece) for stream, piece in pieces], ended=end)
        finally:
            if self._batches:
                self._batches.end()
