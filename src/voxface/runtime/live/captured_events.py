"""The events of a stream that a device feeds: sound is captured on a thread of its own, and heard by whoever iterates."""

from collections.abc import Iterator
from typing import Final

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.live.block import BlockQueue
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.events import Event
from voxface.runtime.live.runner import QUEUE_S, Source
from voxface.runtime.live.stop import Stop
from voxface.runtime.live.stream import Stream

CLOSE_S: Final = 1.0  # time that a device gets to close


def captured_events(
    stream: Stream, source: Source, clock: Clock, *, queue_s: float = QUEUE_S, limit_s: float | None = None
) -> Iterator[Event]:
    """Yields the events of a source's sound, until the source ends; leaving the loop closes the source.

    Capture waits for nobody: at most `queue_s` of sound wait, then the oldest is dropped, with an event `Lost`. While more than
    a hop waits, estimates are left out, each with an event `Skipped`.

    Args:
        limit_s: ends the stream after so many seconds.

    Raises:
        VoxfaceError: the source failed.
    """
    queue, stop = BlockQueue(clock, queue_s), Stop()
    hop_s = stream.config.hop / SAMPLE_RATE
    errors: list[BaseException] = []

    def capture() -> None:
        try:
            source.run(queue.put, stop)
        except BaseException as error:
            errors.append(error)
        finally:
            queue.close()

    began = clock.now_ns()
    capturing = clock.start(capture, "voxface-capture")
    try:
        while not queue.finished:
            left = None if limit_s is None else limit_s - (clock.now_ns() - began) / 1e9
            if left is not None and left <= 0:
                break
            block = queue.get(left)
            if block is not None:
                yield from stream.hear(block, behind=queue.waiting_s > hop_s)
        if errors:
            raise errors[0]
        yield from stream.finish()
    finally:
        stop.request("no longer heard")
        capturing.join(CLOSE_S)
        stream.close()
