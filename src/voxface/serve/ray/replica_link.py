"""The server's end of the talk with a replica: two calls at a time, one that tells and one that waits for reports.

What is said is gathered for a few milliseconds, since a call costs more than what is said in it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from voxface.serve.ray.live_actor import Actor, within
from voxface.serve.ray.live_messages import Close, Message, Report
from voxface.serve.ray.remote_stream import RemoteStream

GATHER_S: Final = 0.005  # how long what is to be told waits for more
SILENT_BEATS: Final = (
    10  # seconds of silence, after which a replica is lost; counted one by one, so that a pause of all is none
)


class ReplicaLink:
    """A replica as the server has it; used on the event loop.

    Attributes:
        number: of the replica.
        actor: the replica.
        streams: its sessions, by number.
        task: what talks to it.
    """

    def __init__(self, number: int, actor: Actor) -> None:
        self.number, self.actor = number, actor
        self.streams: dict[int, RemoteStream] = {}
        self.task: asyncio.Task[None] | None = None
        self._changed: dict[int, RemoteStream] = {}
        self._closed: list[Message] = []
        self._news = asyncio.Event()

    def open(self, stream: RemoteStream) -> None:
        """A session is its own from now on."""
        self.streams[stream.id] = stream
        self.changed(stream)

    def changed(self, stream: RemoteStream) -> None:
        """There is something to tell of a session."""
        self._changed[stream.id] = stream
        self._news.set()

    def close(self, stream: RemoteStream) -> None:
        """A session is over."""
        self.streams.pop(stream.id, None)
        self._changed.pop(stream.id, None)
        self._closed.append(Close(stream.id))
        self._news.set()

    async def talk(self, told: Callable[[RemoteStream, Report], None]) -> BaseException:
        """Talks to the replica until it is lost; returns what says so.

        Args:
            told: gets what it reports.
        """
        talking = {asyncio.create_task(self._tell()), asyncio.create_task(self._hear(told))}
        try:
            done, _ = await asyncio.wait(talking, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
            assert error is not None, "both go on for ever"
            return error
        finally:
            for task in talking:
                task.cancel()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            changed, self._changed = self._changed, {}
            closed, self._closed = self._closed, []
            messages = [message for stream in changed.values() for message in stream.messages()]
            if messages or closed:
                await self.actor.tell([*messages, *closed])

    async def _hear(self, told: Callable[[RemoteStream, Report], None]) -> None:
        while True:
            for report in await within(SILENT_BEATS, self.actor.reports()):
                stream = self.streams.get(report.stream)
                if stream is not None:
                    told(stream, report)
            await asyncio.sleep(GATHER_S)
