"""The desk of a server whose clips are worked on elsewhere: it hands them over, and over again where a machine is lost."""

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import Any, Final

from voxface.cluster.own_session import first_line
from voxface.runtime.errors import ProviderError
from voxface.serve.clip import ClipOptions, Face
from voxface.serve.clip_desk import BusyError

TRIES: Final = 4  # of a clip whose replica is lost each time; it might be the clip that ends them
PAUSE_S: Final = 0.1  # before the second try; doubled before each later one
MIB: Final = 1 << 20
_log = logging.getLogger(__name__)


class RemoteDesk:
    """Clips on their way; used on the event loop. See `voxface.serve.clip_desk.Desk`.

    Attributes:
        waiting: number of clips that wait or are worked on.
        closing: whether none is taken any more.
    """

    def __init__(
        self,
        handle: Any,
        *,
        most: int,
        most_bytes: int,
        retried: Callable[[], None] = lambda: None,
        lost: Callable[[BaseException], bool] | None = None,
    ) -> None:
        """Args:
        handle: the deployment of `voxface.serve.ray.replica.ClipReplica`.
        most: the most clips at once.
        most_bytes: the most bytes of them at once; more would not fit into the cluster's memory for them.
        retried: is called when a clip is begun anew.
        lost: whether an error means that a machine or process was lost, and not that the clip is bad; None: Ray's.
        """
        self._handle, self._most, self._most_bytes = handle, most, most_bytes
        self._retried, self._lost = retried, lost or lost_by_ray
        self._bytes = 0
        self.waiting = 0
        self.closing = False

    async def face(self, data: bytes, name: str, options: ClipOptions, timeout_s: float) -> Face:
        """The face of a clip; see `voxface.serve.clip.face_of_clip` for what it raises.

        Raises:
            BusyError: too many wait.
            TimeoutError: it takes longer than `timeout_s`, waiting included.
            ProviderError: replica after replica was lost.
        """
        if self.closing:
            raise BusyError("the server is being shut down; try again in a moment")
        if self.waiting >= self._most:
            raise BusyError(f"{self.waiting} clips wait already; try again in a moment")
        if self._bytes and self._bytes + len(data) > self._most_bytes:
            raise BusyError(f"{self._bytes / MIB:.0f} MiB of clips wait already; try again in a moment")
        self.waiting += 1
        self._bytes += len(data)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._tried(data, name, options, timeout_s)
        finally:
            self.waiting -= 1
            self._bytes -= len(data)

    async def _tried(self, data: bytes, name: str, options: ClipOptions, timeout_s: float) -> Face:
        pause = PAUSE_S
        for left in reversed(range(TRIES)):
            try:
                outcome: Any = await self._handle.face.remote(data, name, options, timeout_s)
            except Exception as error:
                if not self._lost(error):
                    raise
                if not left:
                    raise ProviderError(f"Ray lost the clip {TRIES} times: {first_line(error)}") from error
                _log.warning("clip begun anew", extra={"why": first_line(error)[:200]})
                self._retried()
            else:
                if isinstance(outcome, Exception):
                    raise outcome
                face: Face = outcome
                return face
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("the last try returns or raises")

    async def drain(self, seconds: float) -> None:
        """Takes no clip any more, and waits for those that are there."""
        self.closing = True
        until = asyncio.get_running_loop().time() + seconds
        while self.waiting and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """Takes no clip any more; the deployment belongs to whoever made it."""
        self.closing = True


def lost_by_ray(error: BaseException) -> bool:
    """Whether an error of a call means that a process, its machine or its result was lost."""
    ray: Any = importlib.import_module("ray.exceptions")
    if isinstance(
        error, ray.RayTaskError
    ):  # the replica raised something: a fault, or what it met of another that was lost
        return isinstance(getattr(error, "cause", None), ray.RayError)
    return isinstance(error, ray.RayError) and not isinstance(error, ray.TaskCancelledError)
