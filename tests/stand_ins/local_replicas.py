"""Replicas for live sessions in the process of a test, which calls them as Ray would; they can be lost, or stay silent."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import VoxfaceError
from voxface.serve.ray.live_messages import Message, Report
from voxface.serve.ray.live_replica import BEAT_S, LiveReplica
from voxface.serve.state.load_meter import FirstCosts


class LostError(Exception):
    """As when a machine loses its power."""


class LocalActor:
    """A replica, whose messages and reports are pickled on their way.

    Attributes:
        streams: numbers of the sessions that were opened on it.
        ended: whether the server has ended it.
    """

    def __init__(self, made: Callable[[], Any]) -> None:
        self._replica = made()
        self._gone = asyncio.Event()
        self._silent = False
        self.streams: list[int] = []
        self.ended = False

    def lose(self) -> None:
        """Its machine is gone."""
        self._gone.set()

    def fall_silent(self) -> None:
        """It answers no more."""
        self._silent = True

    async def ready(self) -> FirstCosts | VoxfaceError:
        found: FirstCosts | VoxfaceError = await self._asked(self._replica.ready)
        return found

    async def tell(self, messages: list[Message]) -> None:
        self.streams += [each.stream for each in messages if type(each).__name__ == "Open"]
        await self._asked(lambda: self._replica.tell(pickle.loads(pickle.dumps(messages))))

    async def reports(self) -> list[Report]:
        found: list[Report] = await self._asked(self._replica.reports)
        return found

    def end(self) -> None:
        self.ended = True
        self._gone.set()
        self._replica.close()

    async def _asked(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if self._silent:
            await asyncio.Event().wait()
        asked = asyncio.ensure_future(call())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
            if self._gone.is_set():
                raise LostError("gone")
            return pickle.loads(pickle.dumps(asked.result()))
        finally:
            asked.cancel()
            gone.cancel()


class LocalActors:
    """Starts them.

    Attributes:
        started: they, in order.
        made: makes the next one's replica.
    """

    def __init__(self, made: Callable[[], Any] | None = None) -> None:
        self.made = made or usual_replica
        self.started: list[LocalActor] = []

    def start(self) -> LocalActor:
        found = LocalActor(self.made)
        self.started.append(found)
        return found


def usual_replica() -> LiveReplica:
    """One with the default bundle."""
    return LiveReplica(None, str(Bundle.open().manifest.sha256), "cpu")


class DeafReplica:
    """One that takes everything and says nothing of it."""

    async def ready(self) -> FirstCosts | VoxfaceError:
        return FirstCosts(0.01, {"incremental": 0.01, "exact": 0.01})

    async def tell(self, messages: list[Message]) -> None:
        """Hears nothing."""

    async def reports(self) -> list[Report]:
        await asyncio.sleep(BEAT_S)
        return []

    def close(self) -> None:
        """Has no thread."""


class OtherBundle(LiveReplica):
    """One that finds another bundle than the server's."""

    def __init__(self) -> None:
        super().__init__(None, "0" * 64, "cpu")
