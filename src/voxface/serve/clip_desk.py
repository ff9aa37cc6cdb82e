"""The desk for whole clips: one thread, with engines of its own, so that a long clip delays no live session's update."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from voxface.runtime.errors import VoxfaceError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.serve.clip import ClipFace, ClipOptions, Face, face_of_clip


class BusyError(VoxfaceError):
    """As many clips as may wait are waiting, or the server is being shut down."""

    exit_code = 5


class Desk(Protocol):
    """Where clips become faces; used on the event loop.

    Attributes:
        waiting: number of clips that wait or are worked on.
    """

    waiting: int

    async def face(self, data: bytes, name: str, options: ClipOptions, timeout_s: float) -> Face:
        """The face of a clip; see `ClipDesk.face`."""
        ...

    async def drain(self, seconds: float) -> None:
        """Takes no clip any more, and waits for those that are there."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...


class ClipDesk:
    """Clips, one after another in the order in which they came; used on the event loop.

    Attributes:
        waiting: number of clips that wait or are worked on.
        closing: whether none is taken any more.
    """

    def __init__(self, estimator: FaceEstimator, *, most: int, longest_s: float) -> None:
        """Args:
        estimator: engines that nothing else uses meanwhile.
        most: the most clips that may wait.
        longest_s: the longest clip.
        """
        self._estimator, self._most, self._longest = estimator, most, longest_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voxface-clips")
        self.waiting = 0
        self.closing = False

    async def face(self, data: bytes, name: str, options: ClipOptions, timeout_s: float) -> ClipFace:
        """The face of a clip; see `voxface.serve.clip.face_of_clip` for what it raises.

        Raises:
            BusyError: too many wait.
            TimeoutError: it takes longer than `timeout_s`, waiting included.
        """
        if self.closing:
            raise BusyError("the server is being shut down; try again in a moment")
        if self.waiting >= self._most:
            raise BusyError(f"{self.waiting} clips wait already; try again in a moment")
        left = threading.Event()
        work: Callable[[], ClipFace] = partial(
            _face, data, name, self._estimator, options, longest_s=self._longest, stopped=left.is_set
        )
        self.waiting += 1
        future = self._thread.submit(work)
        future.add_done_callback(partial(self._done, asyncio.get_running_loop()))
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        finally:
            left.set()

    def _done(self, loop: asyncio.AbstractEventLoop, future: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._one_less)

    def _one_less(self) -> None:
        self.waiting -= 1

    async def drain(self, seconds: float) -> None:
        """Takes no clip any more, and waits for those that are there."""
        self.closing = True
        until = asyncio.get_running_loop().time() + seconds
        while self.waiting and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """Ends the thread after the present clip."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _face(
    data: bytes,
    name: str,
    estimator: FaceEstimator,
    options: ClipOptions,
    *,
    longest_s: float,
    stopped: Callable[[], bool],
) -> ClipFace:
    """The face with its picture and mesh, which cost time as well."""
    face = face_of_clip(data, name, estimator, options, longest_s=longest_s, stopped=stopped)
    _ = face.png, face.glb, face.estimate.measurements_mm
    return face
