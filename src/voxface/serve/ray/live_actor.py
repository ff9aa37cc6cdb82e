"""A replica for live sessions as the server calls it: an actor of Ray, which the cluster places on a node that has a core."""

import asyncio
import importlib
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.errors import VoxfaceError
from voxface.serve.ray.live_messages import Message, Report
from voxface.serve.ray.live_replica import BEAT_S, LiveReplica
from voxface.serve.state.load_meter import FirstCosts

Result = TypeVar("Result")


class Actor(Protocol):
    """A replica, wherever it is: `voxface.serve.ray.live_replica.LiveReplica`. What its calls raise means that it is lost."""

    def ready(self) -> Awaitable[FirstCosts | VoxfaceError]:
        """What sessions cost there, or why there can be none."""
        ...

    def tell(self, messages: list[Message]) -> Awaitable[None]:
        """Takes messages."""
        ...

    def reports(self) -> Awaitable[list[Report]]:
        """What turns gave."""
        ...

    def end(self) -> None:
        """Ends it at once."""
        ...


class Actors(Protocol):
    """What starts replicas."""

    def start(self) -> Actor:
        """Begins to start one, where the cluster has a core for it."""
        ...


class SilentError(Exception):
    """A replica says nothing."""


class RayActor:
    """A replica on a node of the cluster; see `Actor`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def ready(self) -> Awaitable[FirstCosts | VoxfaceError]:
        """See `LiveReplica.ready`."""
        called: Awaitable[FirstCosts | VoxfaceError] = self._handle.ready.remote()
        return called

    def tell(self, messages: list[Message]) -> Awaitable[None]:
        """See `LiveReplica.tell`."""
        called: Awaitable[None] = self._handle.tell.remote(messages)
        return called

    def reports(self) -> Awaitable[list[Report]]:
        """See `LiveReplica.reports`."""
        called: Awaitable[list[Report]] = self._handle.reports.remote()
        return called

    def end(self) -> None:
        """Ends its process."""
        with suppress(Exception):  # a cluster that is gone has no process
            importlib.import_module("ray").kill(self._handle)


class RayActors:
    """Starts replicas on a cluster that is connected to. They end with the process that has started them.

    They are actors and no replicas of Ray Serve: that chooses by itself which replica goes when there are to be fewer, and to
    which one a call goes, while a session stays where its state is, and a replica is to go only when it has none.
    """

    def __init__(self, bundle: Bundle, provider: str) -> None:
        """Args:
        bundle: the bundle, which lies under the same name on every machine.
        provider: what runs the networks.
        """
        ray: Any = importlib.import_module("ray")
        self._about = (
            None if bundle.path == DEFAULT else str(bundle.path.resolve()),
            str(bundle.manifest.sha256),
            provider,
        )
        # Each on another node, as far as there are some; calls are not written down one by one.
        options = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD", "enable_task_events": False}
        self._class = ray.remote(**options)(LiveReplica)

    def start(self) -> Actor:
        """Asks the cluster for one."""
        return RayActor(self._class.remote(*self._about))


async def within(beats: int, asked: Awaitable[Result]) -> Result:
    """The result of a call, if it comes within so many seconds.

    Raises:
        SilentError: it does not.
    """
    result = asyncio.ensure_future(asked)
    try:
        for _ in range(beats):
            done, _pending = await asyncio.wait({result}, timeout=BEAT_S)
            if done:
                return result.result()
    finally:
        result.cancel()
    raise SilentError
