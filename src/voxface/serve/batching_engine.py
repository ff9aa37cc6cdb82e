"""Engines whose runs are put together: runs of several threads that come within a deadline become one run of a batch.

A batch saves what every run costs beside its arithmetic, and reads weights once for several voices. On a GPU, and for large
networks, that is much; what it gains on a machine is measured by `benchmarks.batching`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.engines.passing import PassingEngine
from voxface.runtime.live.clock import Clock
from voxface.serve.state.batch_queue import MOST, BatchQueue


@dataclass(eq=False)
class _Request:
    engine: Engine
    name: str
    feeds: dict[str, Array]
    outputs: dict[str, Array] = field(default_factory=dict)
    error: Exception | None = None
    finished: bool = False


class Batches:
    """The batches of a lane's engines; `wrap` puts an engine among them."""

    def __init__(
        self,
        clock: Clock,
        longest_wait_s: float,
        *,
        most: int = MOST,
        counted: Callable[[str, int], None] = lambda name, size: None,
    ) -> None:
        """Args:
        longest_wait_s: how long a run waits for others, at most.
        most: runs in a batch.
        counted: gets the name of the graph and the size of each batch.
        """
        self._clock, self._counted = clock, counted
        self._queue: BatchQueue[_Request] = BatchQueue(round(longest_wait_s * 1e9), most)
        self._changed = clock.monitor()

    def wrap(self, name: str, engine: Engine) -> Engine:
        """An engine that runs in batches with others of the same name and shape."""
        return BatchingEngine(engine, name, self)

    def begin(self) -> None:
        """A thread begins a turn, so runs may come from it."""
        with self._changed:
            self._queue.working += 1

    def end(self) -> None:
        """A thread ends its turn; those that wait for it wait no longer."""
        with self._changed:
            self._queue.working -= 1
            self._changed.notify()

    def run(self, name: str, engine: Engine, feeds: dict[str, Array]) -> dict[str, Array]:
        """Runs an engine, with others if they come in time.

        Raises:
            Exception: what the engine raised, for each of the batch.
        """
        request = _Request(engine, name, feeds)
        shape = (name, *((key, array.shape[1:]) for key, array in feeds.items()))
        with self._changed:
            self._queue.add(shape, request, self._clock.now_ns())
            self._changed.notify()
        while not request.finished:
            batch: list[_Request] = []
            with self._changed:
                due = self._queue.next_deadline_ns()
                left = None if due is None else max(0.0, (due - self._clock.now_ns()) / 1e9)
                self._changed.wait(lambda: request.finished or self._queue.startable(self._clock.now_ns()), left)
                if not request.finished:
                    batch = self._queue.take(self._clock.now_ns())
            if batch:
                self._run(batch)
        if request.error is not None:
            raise request.error
        return request.outputs

    def _run(self, batch: list[_Request]) -> None:
        first = batch[0]
        try:
            feeds = {key: np.concatenate([request.feeds[key] for request in batch]) for key in first.feeds}
            outputs = first.engine.run(feeds)
            at = 0
            for request in batch:
                count = len(next(iter(request.feeds.values())))
                request.outputs = {key: array[at : at + count] for key, array in outputs.items()}
                at += count
        except Exception as error:  # an engine may raise anything
            for request in batch:
                request.error = error
        self._counted(first.name, len(batch))
        with self._changed:
            for request in batch:
                request.finished = True
            self._changed.notify()


class BatchingEngine(PassingEngine):
    """An engine that runs in batches; see `voxface.runtime.engines.engine.Engine`."""

    def __init__(self, engine: Engine, name: str, batches: Batches) -> None:
        """`name`: of the graph."""
        super().__init__(engine)
        self._name, self._batches = name, batches

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output. An output named in `out` is written to that array."""
        outputs = self._batches.run(self._name, self._engine, feeds)
        for key, array in (out or {}).items():
            np.copyto(array, outputs[key])
        return {key: (out or {}).get(key, array) for key, array in outputs.items()}
