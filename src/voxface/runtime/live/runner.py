"""The threads of a live run: one captures, one runs the pipeline, one serves each sink; the main thread draws."""

from collections.abc import Callable
from typing import Final, Protocol

from voxface.runtime.live.block import Block, BlockQueue
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.stop import TIME_IS_UP, Stop

QUEUE_S: Final = 10.0
POLL_S: Final = 0.05
FLUSH_S: Final = 10.0  # time that a device, an engine or a sink gets to finish


class Source(Protocol):
    """A source of sound."""

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers blocks until the source ends or `stop()`; in a threaded run on a thread of its own."""
        ...


class Screen(Protocol):
    """A display that the main thread draws."""

    def draw(self) -> bool:
        """Draws the newest face; returns False when the user closed the display."""
        ...


def run_inline(
    source: Source, pipeline: Pipeline, stop: Stop, screens: list[Screen], *, limit_s: float | None = None
) -> None:
    """Runs everything on the calling thread, as fast as possible: no sound is dropped, and every run gives the same result.

    Args:
        limit_s: ends the run after so many seconds of sound.

    Raises:
        VoxfaceError: the source or the pipeline failed; the sinks are closed all the same.
    """

    def feed(block: Block) -> None:
        pipeline.feed(block)
        if not all(screen.draw() for screen in screens):
            stop.request("window closed")
        if limit_s is not None and pipeline.heard_s >= limit_s:
            stop.request(TIME_IS_UP)

    try:
        source.run(feed, stop)
        pipeline.finish()
    finally:
        close(pipeline.sink_workers, pipeline)


def run_threaded(
    source: Source,
    pipeline: Pipeline,
    clock: Clock,
    stop: Stop,
    screens: list[Screen],
    *,
    queue_s: float = QUEUE_S,
    limit_s: float | None = None,
) -> None:
    """Captures on one thread and runs the pipeline on another; returns when the source has ended or `stop` was requested.

    Args:
        queue_s: the most seconds of sound that may wait between the two threads.
        limit_s: ends the run after so many seconds.

    Raises:
        VoxfaceError: the source or the pipeline failed; the sinks are closed all the same.
    """
    queue = BlockQueue(clock, queue_s)
    hop_s = pipeline.session.config.hop / 16_000
    errors: list[BaseException] = []

    def capture() -> None:
        try:
            source.run(queue.put, stop)
        except BaseException as error:
            errors.append(error)
        finally:
            queue.close()

    def infer() -> None:
        try:
            while (block := queue.get()) is not None:
                pipeline.feed(block, behind=queue.waiting_s > hop_s)
            pipeline.finish()
        except BaseException as error:
            errors.append(error)
            stop.request("error")
            queue.close()

    capturing = clock.start(capture, "voxface-capture")
    inferring = clock.start(infer, "voxface-inference")
    ends = None if limit_s is None else clock.now_ns() + round(limit_s * 1e9)
    stopping: int | None = None
    try:
        while not inferring.join(POLL_S if not screens else 0.001):
            for sink_worker in pipeline.sink_workers:
                if sink_worker.on_main:
                    sink_worker.drain()
            if not all(screen.draw() for screen in screens):
                stop.request("window closed")
            if ends is not None and clock.now_ns() >= ends:
                stop.request(TIME_IS_UP)
            if stop():
                stopping = stopping or clock.now_ns()
                if clock.now_ns() - stopping > FLUSH_S * 1e9:
                    pipeline.counters.edges["threads_left_behind"] += 1
                    break
                if clock.now_ns() - stopping > FLUSH_S * 5e8:
                    queue.close()  # a source that does not return must not hold back the sound that was captured
        capturing.join(1.0)
    finally:
        pipeline.counters.edges["blocks"] = queue.blocks
        pipeline.counters.edges["dropped_blocks"] = queue.dropped_blocks
        pipeline.counters.edges["longest_queue_ms"] = round(queue.deepest_s * 1000)
        close(pipeline.sink_workers, pipeline)
    if errors:
        raise errors[0]


def close(sink_workers: list[SinkWorker], pipeline: Pipeline) -> None:
    """Closes every sink, which writes what it still holds, and counts the events that it missed."""
    edges = pipeline.counters.edges
    for sink_worker in sink_workers:
        if not sink_worker.close(FLUSH_S):
            edges[f"{sink_worker.sink.name}_unfinished"] += 1
        edges[f"{sink_worker.sink.name}_superseded"] = sink_worker.superseded
        edges[f"{sink_worker.sink.name}_dropped"] = sink_worker.dropped
        if sink_worker.error is not None:
            edges[f"{sink_worker.sink.name}_failed"] = 1
