"""Live sessions on replicas of a cluster: each is placed where there is room, and placed anew where its replica is lost."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from voxface.cluster.own_session import first_line
from voxface.runtime.errors import ProviderError
from voxface.runtime.live.clock import Clock
from voxface.serve.metrics import Metrics
from voxface.serve.protocol.hello import Hello
from voxface.serve.ray.live_actor import Actors, SilentError, within
from voxface.serve.ray.live_messages import Report
from voxface.serve.ray.live_replica import BEAT_S
from voxface.serve.ray.remote_stream import RemoteStream
from voxface.serve.ray.replica_link import ReplicaLink
from voxface.serve.session_host import Deliver, Outcome
from voxface.serve.state.fleet import NS, Fleet
from voxface.serve.state.limits import Limits
from voxface.serve.state.load_meter import FirstCosts

TICK_S: Final = 0.25  # between looks at how many replicas there are to be
START_BEATS: Final = 120  # seconds for a replica to start
MOST_MOVES: Final = 4  # of a session, each soon after the other; it might be the session that ends them
SOON_S: Final = 60.0
_log = logging.getLogger(__name__)


class ClusterHost:
    """The replicas; see `voxface.serve.session_host.SessionHost`."""

    def __init__(self, actors: Actors, least: int, most: int, limits: Limits, clock: Clock) -> None:
        """Args:
        actors: starts replicas.
        least, most: how many there are.
        limits: `load`, `resume_load`, `sessions_of_replica`, `replica_idle_s`, `resume_s`.
        clock: the clock.
        """
        self._actors, self._limits, self._clock = actors, limits, clock
        self._fleet = Fleet(
            least, most, load=limits.load, sessions=limits.sessions_of_replica, idle_s=limits.replica_idle_s
        )
        self._replicas: dict[int, ReplicaLink] = {}
        self._of: dict[RemoteStream, ReplicaLink] = {}
        self._homeless: dict[int, RemoteStream] = {}
        self._next = 1
        self._deliver: Deliver | None = None
        self._metrics: Metrics | None = None
        self._ticking: asyncio.Task[None] | None = None

    async def begin(self) -> FirstCosts:
        """Starts the least number of replicas, and waits for them. Before the server has its event loop. Returns what sessions
        cost, as the slowest of them has measured.

        Raises:
            ProviderError: none of them starts.
        """
        self._start(self._fleet.scale(self._clock.now_ns()).start)
        starting = [*self._replicas.values()]
        found = await asyncio.gather(*map(self._started, starting))
        costs = [each for each in found if isinstance(each, FirstCosts)]
        if not costs:
            raise ProviderError(f"Ray: no replica for live sessions starts: {found[0]}")
        return max(costs, key=lambda each: sum(each.update.values()))

    # -- what the service asks ------------------------------------------------------------------------------------------

    @property
    def load(self) -> float:
        """The largest predicted load of a replica."""
        self._measure()
        return max((seat.load for seat in self._fleet.seats.values()), default=0.0)

    @property
    def waiting(self) -> int:
        """Number of sessions that wait for a replica."""
        return len(self._homeless)

    @property
    def state(self) -> Mapping[str, int]:
        """How many replicas work, and are being started, and how many have not started."""
        fleet = self._fleet
        return {
            "replicas": fleet.count(ready=True),
            "replicas_starting": fleet.count(ready=False),
            "replicas_failed": fleet.failed,
        }

    @property
    def ready(self) -> bool:
        """Whether a replica works."""
        return self._fleet.count(ready=True) > 0

    def watch(self, metrics: Metrics) -> None:
        """Counts replicas."""
        self._metrics = metrics
        metrics.watch("replicas", lambda: self._fleet.count(ready=True), "ready")
        metrics.watch("replicas", lambda: self._fleet.count(ready=False), "starting")
        for _ in range(self._fleet.failed):  # before there were metrics
            metrics.replica_failures.labels("did not start").inc()

    def start(self, deliver: Deliver) -> None:
        """On the event loop: begins to talk to the replicas."""
        self._deliver = deliver
        for found in self._replicas.values():
            found.task = asyncio.create_task(self._serve(found))
        self._ticking = asyncio.create_task(self._tick())

    def stop(self) -> None:
        """On the event loop: talks to nobody any more."""
        self._deliver = None
        for task in (self._ticking, *(found.task for found in self._replicas.values())):
            if task is not None:
                task.cancel()

    def load_with(self, share: float) -> float | None:
        """Predicted load of the replica that would take a session, with it; 0: it would be the first there."""
        self._measure()
        seat = self._fleet.choose(share)
        if seat is None:
            self._fleet.missed()
            return None
        return seat.load + share if seat.load else 0.0

    def open(self, hello: Hello, share: float, *, longest: int, start: int) -> RemoteStream:
        """A session on the replica that `load_with` has found."""
        stream = RemoteStream(
            self._next,
            hello,
            share,
            longest=longest,
            start=start,
            now_ns=self._clock.now_ns,
            changed=self._changed,
            load=self._load_of,
            closed=self._closed,
        )
        self._next += 1
        self._homeless[stream.id] = stream
        self._place(stream, self._limits.load)
        return stream

    def stuck(self, seconds: float) -> bool:
        """Replicas that are stuck are lost, and this process has no thread that could be."""
        return False

    def close(self) -> None:
        """Ends the replicas."""
        for found in self._replicas.values():
            found.actor.end()
        self._replicas.clear()

    # -- sessions -------------------------------------------------------------------------------------------------------

    def _changed(self, stream: RemoteStream) -> None:
        found = self._of.get(stream)
        if found is not None:
            found.changed(stream)

    def _closed(self, stream: RemoteStream) -> None:
        self._homeless.pop(stream.id, None)
        found = self._of.pop(stream, None)
        if found is not None:
            found.close(stream)

    def _load_of(self, stream: RemoteStream) -> float:
        found = self._of.get(stream)
        return 0.0 if found is None else sum(each.share for each in found.streams.values())

    def _place(self, stream: RemoteStream, load: float) -> None:
        """Gives a session that has no replica to one that has room, if there is one."""
        self._measure()
        seat = self._fleet.choose(stream.share, load)
        if seat is None:
            return
        found = self._replicas[seat.number]
        del self._homeless[stream.id]
        self._of[stream] = found
        moved = stream.begin()
        found.open(stream)
        if moved is not None:
            _log.info("session moved", extra={"replica": found.number})
            if self._metrics:
                self._metrics.moved.inc()
            if self._deliver:
                self._deliver(stream, Outcome(answers=[moved], moved=True))

    def _measure(self) -> None:
        now = self._clock.now_ns()
        for number, found in self._replicas.items():
            streams = found.streams.values()
            self._fleet.changed(number, sum(stream.share for stream in streams), len(streams), now)

    # -- replicas -------------------------------------------------------------------------------------------------------

    def _start(self, count: int) -> None:
        for _ in range(count):
            actor = self._actors.start()
            number = self._fleet.begin().number
            found = self._replicas[number] = ReplicaLink(number, actor)
            if self._deliver is not None:
                found.task = asyncio.create_task(self._serve(found))

    async def _started(self, found: ReplicaLink) -> FirstCosts | str:
        """Waits until a replica has started, and returns what sessions cost there; or why it has not."""
        why: str
        try:
            costs = await within(START_BEATS, found.actor.ready())
        except SilentError:
            why = f"it took more than {START_BEATS * BEAT_S:.0f} s; is there a core for it?"
        except Exception as error:
            why = first_line(error)
        else:
            if isinstance(costs, FirstCosts):
                self._fleet.ready(found.number, self._clock.now_ns())
                _log.info("replica started", extra=self.state)
                return costs
            why = str(costs)
        self._replicas.pop(found.number, None)
        self._fleet.did_not_start(found.number, self._clock.now_ns())
        found.actor.end()
        if self._metrics:
            self._metrics.replica_failures.labels("did not start").inc()
        _log.error("replica did not start", extra={"why": why[:300]})
        return why

    async def _serve(self, found: ReplicaLink) -> None:
        """Talks to a replica until it is lost."""
        if not self._fleet.seats[found.number].ready and isinstance(await self._started(found), str):
            return
        error = await found.talk(self._told)
        if self._deliver is not None and found.number in self._replicas:
            self._lost(found, error)

    def _told(self, stream: RemoteStream, report: Report) -> None:
        """A replica tells of a turn."""
        late, dropped = stream.told(report)
        if dropped and self._metrics:
            self._metrics.dropped.inc(dropped)
        if self._deliver is not None:
            self._deliver(stream, replace(report.outcome, late_ns=late))

    def _lost(self, found: ReplicaLink, error: BaseException) -> None:
        """Its sessions are without a replica, until another has room."""
        why = "it says nothing" if isinstance(error, SilentError) else f"{type(error).__name__}: {first_line(error)}"
        _log.warning("replica lost", extra={"why": why[:300], "sessions": len(found.streams)})
        if self._metrics:
            self._metrics.replica_failures.labels("lost").inc()
        self._drop(found)
        now = self._clock.now_ns()
        for stream in found.streams.values():
            self._of.pop(stream, None)
            stream.moves = stream.moves + 1 if now - stream.begun_ns < SOON_S * NS else 1
            stream.since_ns = now
            self._homeless[stream.id] = stream
        self._rehouse()

    def _drop(self, found: ReplicaLink) -> None:
        self._replicas.pop(found.number, None)
        self._fleet.gone(found.number)
        found.actor.end()

    def _rehouse(self) -> None:
        now, limits = self._clock.now_ns(), self._limits
        for stream in [*self._homeless.values()]:
            over = now - stream.since_ns > limits.resume_s * NS
            if stream.moves > MOST_MOVES or over:
                del self._homeless[stream.id]
                why = (
                    f"no replica had room for it within {limits.resume_s:g} s"
                    if over
                    else "it lost replica after replica"
                )
                if self._deliver:
                    self._deliver(stream, Outcome(last=True, failed=why))
            else:
                self._place(stream, limits.resume_load)

    async def _tick(self) -> None:
        while True:
            try:
                self._rehouse()
                self._scale()
            except Exception as error:  # what the cluster says must not end this
                _log.error("replicas cannot be counted", exc_info=error)
            await asyncio.sleep(TICK_S)

    def _scale(self) -> None:
        self._measure()
        scaling = self._fleet.scale(self._clock.now_ns(), [stream.share for stream in self._homeless.values()])
        self._start(scaling.start)
        for number in scaling.retire:
            found = self._replicas[number]
            self._drop(found)
            if found.task is not None:
                found.task.cancel()
            _log.info("replica ended", extra=self.state)
