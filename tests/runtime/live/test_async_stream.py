"""A stream for asyncio: the same events; the loop goes on; nothing piles up; cancelled and failing where it may."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.live_session import PlainEstimator, lines, voice
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import UsageError
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.live.async_stream import AsyncStream
from voxface.runtime.live.events import Event, FaceEstimated, Skipped
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.stream import Stream
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.runtime.voice_to_face import VoiceToFace

BLOCKS = np.array_split(voice(), 400)  # of 20 ms
LONG = 20.0  # seconds, after which a test is stuck


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), LONG))


def opened(estimator: PlainEstimator | None = None, **more: Any) -> AsyncStream:
    return AsyncStream(lambda: Stream(LiveSession(estimator or PlainEstimator())), **more)


async def source(blocks: list[np.ndarray] = BLOCKS) -> AsyncIterator[np.ndarray]:
    for block in blocks:
        await asyncio.sleep(0)
        yield block


def at_once(stream: Stream) -> list[dict[str, object]]:
    return lines(stream.feed(voice()) + stream.finish())


def readers() -> list[str]:
    """The tasks that still read a source."""
    return [repr(task) for task in asyncio.all_tasks() if "AsyncStream.events" in repr(task)]


class Waiting(PlainEstimator):
    """Makes a face only when it is let go; 10 s later it gives up."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def estimate(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Estimate:
        self.begun.set()
        if not self.go.wait(10):
            raise AssertionError("nobody let it go: the loop was blocked")
        return super().estimate(speech, before, image_reuse_distance, timer=timer)


def test_events_are_those_of_a_stream(voice_to_face: VoiceToFace) -> None:
    async def test() -> None:
        config = LiveConfig(hop=3200, mode="incremental")
        async with voice_to_face.stream_async(config) as stream:
            events = [event async for event in stream.events(source())]
            assert stream.face is not None
        assert lines(events) == at_once(voice_to_face.stream(config))

    in_a_loop(test)


def test_the_loop_goes_on_while_an_estimate_is_made() -> None:
    """The engine waits for what only the loop can do: were the loop blocked, both would wait for ever."""

    async def test() -> None:
        engine = Waiting()
        async with opened(engine) as stream:
            feeding = asyncio.create_task(stream.feed(voice()))
            while not engine.begun.is_set():
                await asyncio.sleep(0.001)
            for _ in range(50):  # and the loop ticks while it waits
                await asyncio.sleep(0.001)
            assert not feeding.done()
            engine.go.set()
            assert any(isinstance(event, FaceEstimated) for event in await feeding)

    in_a_loop(test)


def test_the_loop_ticks_beside_real_networks(voice_to_face: VoiceToFace) -> None:
    async def test() -> None:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(time.perf_counter())
                await asyncio.sleep(0.002)

        ticking = asyncio.create_task(tick())
        began = time.perf_counter()
        async with voice_to_face.stream_async() as stream:
            events = await stream.feed(voice())  # eight seconds, seventy estimates, in one block
        took = time.perf_counter() - began
        ticking.cancel()
        assert sum(isinstance(event, FaceEstimated) for event in events) > 50
        # Blocked, it would tick a few times only: before, between and after the calls.
        assert len([at for at in ticks if at > began]) > max(20, 20 * took)

    in_a_loop(test)


def test_a_source_is_read_ahead_so_far_and_no_farther() -> None:
    async def test() -> None:
        engine, given = Waiting(), 0

        async def counted() -> AsyncIterator[np.ndarray]:
            nonlocal given
            for block in BLOCKS:
                given += 1
                yield block

        async with opened(engine, waiting=5) as stream:
            events: list[Event] = []

            async def read() -> None:
                events.extend([event async for event in stream.events(counted())])

            reading = asyncio.create_task(read())
            while not engine.begun.is_set():
                await asyncio.sleep(0.001)
            for _ in range(20):
                await asyncio.sleep(0.001)
            heard = engine.calls
            before = given
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert (given, engine.calls) == (before, heard), "while the engine waits, nobody asks for more"
            assert stream._stream is not None
            taken = int(np.searchsorted(np.cumsum([*map(len, BLOCKS)]), stream._stream._frames)) + 1
            assert given == taken + 5, "those that wait, and the one under way"
            engine.go.set()
            await reading
        assert given == len(BLOCKS)
        assert lines(events) == at_once(Stream(LiveSession(PlainEstimator())))

    in_a_loop(test)


@pytest.mark.parametrize("skips", [False, True])
def test_estimates_are_left_out_only_where_that_was_asked_for(skips: bool) -> None:
    async def test() -> None:
        async with opened(skip_when_behind=skips) as stream:
            events = [event async for event in stream.events(source())]
        assert any(isinstance(event, Skipped) for event in events) == skips

    in_a_loop(test)


def test_what_a_source_raises_comes_after_the_events_before_it() -> None:
    async def test() -> None:
        async def broken() -> AsyncIterator[np.ndarray]:
            for block in BLOCKS[:200]:
                yield block
            raise ConnectionResetError("the line is dead")

        events: list[Event] = []

        async def hear() -> None:
            async with opened() as stream:
                async for event in stream.events(broken()):
                    events.append(event)

        with pytest.raises(ConnectionResetError, match="the line is dead"):
            await hear()
        assert sum(isinstance(event, FaceEstimated) for event in events) > 20

    in_a_loop(test)


def test_wrong_samples_and_errors_of_the_thread_reach_the_caller() -> None:
    async def test() -> None:
        async def wrong() -> AsyncIterator[np.ndarray]:
            yield np.zeros(100)

        async with opened() as stream:
            with pytest.raises(UsageError, match="float64"):
                await stream.feed(np.zeros(100))
            with pytest.raises(UsageError, match="float64"):
                _ = [event async for event in stream.events(wrong())]
            await stream.feed(np.zeros(100, np.int16))
            with pytest.raises(UsageError, match="this block 2"):
                await stream.feed(np.zeros((100, 2), np.int16))
        with pytest.raises(UsageError, match="has ended"):
            await stream.feed(voice())
        with pytest.raises(UsageError, match="not open yet"):
            await opened().feed(voice())
        with pytest.raises(UsageError, match="at least 1 block"):
            opened(waiting=0)

        def fails() -> Stream:
            raise UsageError("no such rate")

        with pytest.raises(UsageError, match="no such rate"):
            async with AsyncStream(fails):
                pass

    in_a_loop(test)


def test_a_cancelled_task_leaves_after_the_estimate_under_way() -> None:
    async def test() -> None:
        engine = Waiting()

        async def work() -> None:
            async with opened(engine) as stream:
                async for _ in stream.events(source()):
                    pass

        task = asyncio.create_task(work())
        while not engine.begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done(), "the engine is still in use"
        engine.go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.calls < 5
        assert not readers()

    in_a_loop(test)


def test_who_stops_reading_leaves_no_task_behind() -> None:
    async def test() -> None:
        async with opened() as stream:
            async for event in stream.events(source()):
                if isinstance(event, FaceEstimated):
                    break
        assert not readers()

    in_a_loop(test)


def test_engines_are_free_once_the_context_is_left(voice_to_face: VoiceToFace) -> None:
    async def test() -> None:
        with VoiceToFace(voice_to_face.bundle, threads=1) as face:
            async with face.stream_async() as stream:
                await stream.feed(voice())
        with pytest.raises(UsageError, match="engines were closed"):
            async with face.stream_async():
                pass

    in_a_loop(test)


def test_two_streams_run_side_by_side(voice_to_face: VoiceToFace) -> None:
    async def hear() -> list[dict[str, object]]:
        async with voice_to_face.stream_async(LiveConfig(hop=3200)) as stream:
            return lines([event async for event in stream.events(source())])

    async def test() -> None:
        one, other = await asyncio.gather(hear(), hear())
        assert one == other == at_once(voice_to_face.stream(LiveConfig(hop=3200)))

    in_a_loop(test)
