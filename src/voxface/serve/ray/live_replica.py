"""A replica for live sessions: the networks of a bundle and a lane, in a process of a Ray cluster."""

import asyncio
import gc
import sys
from pathlib import Path
from typing import Final

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError, VoxfaceError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.serve.first_costs import first_costs
from voxface.serve.lane import Lane
from voxface.serve.ray.live_messages import Close, Finish, Lose, Message, Open, Push, Report
from voxface.serve.served_stream import ServedStream, Turn
from voxface.serve.session_host import Outcome
from voxface.serve.state.load_meter import FirstCosts

BEAT_S: Final = (
    1.0  # after which a call for reports returns without any, so that the server knows that the replica is there
)
SWITCH_S: Final = 0.001  # how long a thread may keep the interpreter from the event loop


class _Stream(ServedStream):
    """A session as the replica has it."""

    def __init__(self, opened: Open, estimator: FaceEstimator, clock: SystemClock) -> None:
        super().__init__(
            opened.hello,
            estimator,
            estimator.bundle,
            longest=opened.longest + opened.recalled,  # what was heard before comes all at once
            now_ns=clock.now_ns,
            start=opened.start,
            recalled=opened.recalled,
        )
        self.opened = opened
        self.number, self.faces = opened.number, opened.faces


class LiveReplica:
    """Live sessions, in one lane. Ray makes it in a process of its own, and calls it on the event loop of that."""

    def __init__(self, bundle: str | None, sha256: str, provider: str) -> None:
        """Loads the networks; what is wrong with them is told by `ready`.

        Args:
            bundle: path of the bundle on every machine of the cluster; None: the default one.
            sha256: digest of the manifest that the server has.
            provider: what runs the networks.
        """
        self._streams: dict[int, _Stream] = {}
        self._reports: list[Report] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._clock = SystemClock()
        self._found: FirstCosts | VoxfaceError
        try:
            opened = Bundle.open(None if bundle is None else Path(bundle))
            if opened.manifest.sha256 != sha256:
                raise BundleError(f"{opened.path}: is another bundle than the server's; copy it to every machine")
            self._estimator = FaceEstimator(opened, provider, threads=1)
            self._found = first_costs(self._estimator)
        except VoxfaceError as error:  # raised, it would come wrapped, with the whole stack as its text
            self._found = error
            return
        self._lane = Lane(self._clock, self._hand_over)
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.freeze()

    async def ready(self) -> FirstCosts | VoxfaceError:
        """What sessions cost here, or why there can be none."""
        self._loop = asyncio.get_running_loop()
        return self._found

    async def tell(self, messages: list[Message]) -> None:
        """Takes messages, in order; those of a session that is not here change nothing."""
        now = self._clock.now_ns()
        for message in messages:
            if isinstance(message, Open):
                stream = self._streams[message.stream] = _Stream(message, self._estimator, self._clock)
                self._lane.open(stream)
                continue
            found = self._streams.get(message.stream)
            if found is None:
                continue
            if isinstance(message, Push):
                self._lane.push(found, message.samples, now - message.age_ns)
            elif isinstance(message, Lose):
                self._lane.lose(found, message.frames, message.cause)
            elif isinstance(message, Finish):
                self._lane.finish(found)
            elif isinstance(message, Close):
                self._forget(found)

    async def reports(self) -> list[Report]:
        """What turns gave since the last call, as soon as there is anything; nothing after a second of nothing."""
        if not self._reports:
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._told.wait()
            except TimeoutError:
                pass
        self._told.clear()
        found, self._reports = self._reports, []
        return found

    def close(self) -> None:
        """Ends the thread."""
        if hasattr(self, "_lane"):
            self._lane.close()

    def _forget(self, stream: _Stream) -> None:
        self._streams.pop(stream.opened.stream, None)
        self._lane.close_session(stream)

    def _hand_over(self, stream: ServedStream, turn: Turn) -> None:
        """On the lane's thread."""
        if not stream.worth_telling(turn) or self._loop is None:
            return
        assert isinstance(stream, _Stream)
        report = Report(
            stream.opened.stream,
            Outcome.of(turn),
            turn.late_at,
            stream.opened.first + stream.taken,
            stream.position,
            stream.number,
            stream.faces,
            stream.queue.dropped,
        )
        self._loop.call_soon_threadsafe(self._report, report)

    def _report(self, report: Report) -> None:
        self._reports.append(report)
        self._told.set()
        if report.outcome.last and (stream := self._streams.get(report.stream)) is not None:
            self._forget(stream)
