"""A live stream for asyncio: estimates are made on a thread of their own, so that the event loop goes on meanwhile."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar

from voxface.runtime.audio.samples import check_samples
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoPickleError, UsageError
from voxface.runtime.live.events import Event, FaceEstimated
from voxface.runtime.live.stream import Samples, Stream

MOST_WAITING: Final = 50  # blocks; of 20 ms each, a second

T = TypeVar("T")


class AsyncStream:
    """A `Stream` whose work is done on a thread of its own. It is an asynchronous context manager, which opens the stream on
    entering; `VoiceToFace.stream_async` makes one.

        async with voice_to_face.stream_async(sample_rate=48_000) as stream:
            async for event in stream.events(source):  # an asynchronous iterator of samples
                ...

    Leaving the context finishes the stream. After an exception, or if the task was cancelled, the stream ends without another
    estimate once the one under way is finished. Its methods are for the event loop in which the context was entered.
    """

    def __init__(
        self, opened: Callable[[], Stream], *, waiting: int = MOST_WAITING, skip_when_behind: bool = False
    ) -> None:
        """Opens nothing yet.

        Args:
            opened: opens the stream; called on the thread.
            waiting: the largest number of blocks that `events` reads ahead, at least 1.
            skip_when_behind: whether estimates may be skipped while more sound than `config.hop` waits, each with an event
                `Skipped`; for sound that comes at its own pace, on a machine that is sometimes too slow.

        Raises:
            UsageError: `waiting` is less than 1.
        """
        if waiting < 1:
            raise UsageError(f"waiting {waiting}: at least 1 block")
        self._opened, self._most, self._skips = opened, waiting, skip_when_behind
        self._stream: Stream | None = None
        self._thread = ThreadPoolExecutor(1, "voxface-stream")
        self._readers: set[asyncio.Task[None]] = set()
        self._left = False

    @property
    def face(self) -> FaceEstimated | None:
        """The newest face; None before the first."""
        return None if self._stream is None else self._stream.face

    async def feed(self, samples: Samples, *, lost: int = 0, behind: bool = False) -> list[Event]:
        """Feeds a block on the thread and returns its events; see `Stream.feed`.

        Blocks are fed in the order of the calls. A call that is cancelled while its block is being fed does not stop that; the
        block's events are lost.

        Raises:
            UsageError: see `Stream.feed`.
        """
        own = check_samples(samples).copy()  # the caller may use the array again while the thread reads it
        return await self._run(partial(self._entered().feed, own, lost=lost, behind=behind))

    async def events(self, source: AsyncIterable[Samples]) -> AsyncGenerator[Event, None]:
        """Feeds the stream from a source of blocks until the source ends, and finishes it; yields the events in order.

        A task of its own reads the source, at most `waiting` blocks ahead. While that many blocks wait, because estimates or
        the reader of the events are slower than the sound, the source is not asked for more. Nothing is dropped.

        Raises:
            UsageError: see `Stream.feed`.
            Exception: any exception of the source, after the events of the blocks before it.
        """
        stream = self._entered()
        waiting: deque[Samples] = deque()
        changed = asyncio.Event()

        async def read() -> None:
            async for samples in source:
                waiting.append(check_samples(samples).copy())
                changed.set()
                while len(waiting) >= self._most:
                    changed.clear()
                    await changed.wait()

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        reader.add_done_callback(lambda _: changed.set())
        try:
            while waiting or not reader.done():
                if not waiting:
                    changed.clear()
                    await changed.wait()
                    continue
                samples = waiting.popleft()
                changed.set()
                late = sum(map(len, waiting)) * SAMPLE_RATE > stream.config.hop * stream.sample_rate
                for event in await self._run(partial(stream.feed, samples, behind=self._skips and late)):
                    yield event
            reader.result()
            for event in await self.finish():
                yield event
        finally:
            await self._end(reader)

    async def finish(self) -> list[Event]:
        """Ends the stream and returns its last events; see `Stream.finish`."""
        return await self._run(self._entered().finish)

    def __reduce__(self) -> NoReturn:
        raise NoPickleError(
            "an AsyncStream has a thread in its process and cannot be pickled or copied; send its events instead"
        )

    async def __aenter__(self) -> Self:
        try:
            self._stream = await self._run(self._opened)
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream = self._entered()
        try:
            for reader in tuple(self._readers):
                await self._end(reader)
            if kind is not None:
                stream.close()
            # This waits for the thread's present work, because the engines may be freed once the context is left.
            await asyncio.shield(self._run(stream.finish))
        finally:
            stream.close()
            self._leave()

    def _leave(self) -> None:
        self._left = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _entered(self) -> Stream:
        if self._stream is None:
            raise UsageError("the stream is not open yet; use it within `async with`")
        return self._stream

    async def _run(self, work: Callable[[], T]) -> T:
        if self._left:
            raise UsageError("the stream has ended; open another to go on")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _end(self, reader: "asyncio.Task[None]") -> None:
        """Ends a task that reads a source and lets the source clean up; an exception that it raises then is ignored."""
        self._readers.discard(reader)
        reader.cancel()
        await asyncio.wait([reader])
        if not reader.cancelled():
            reader.exception()
