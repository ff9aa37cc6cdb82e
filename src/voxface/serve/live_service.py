"""The live sessions of a server: registry, lanes, load and answers together. Everything here runs on the event loop."""

import asyncio
import gc
import hashlib
import logging
from typing import Any, Final

from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.live.clock import Clock
from voxface.serve.metrics import Metrics
from voxface.serve.protocol.close_codes import CloseCode
from voxface.serve.protocol.hello import Hello, ProtocolError
from voxface.serve.session_host import NOTHING, HostedStream, Outcome, SessionHost
from voxface.serve.state.limits import Limits
from voxface.serve.state.load_meter import Kind, LoadMeter
from voxface.serve.state.outbox import Outbox
from voxface.serve.state.session_registry import Ending, Refused, SessionRegistry

SWEEP_S: Final = 0.25
FACES_WAITING: Final = 16  # of a client that reads too slowly; what is older nobody needs to see any more
WAIT_TIMES: Final = 4  # as many bytes of answers for a client that waits, whose sound that waits still gives some
COLLECT_AFTER: Final = 16  # ended sessions; a megabyte each
CODES: Final[dict[Ending, CloseCode]] = {
    "finished": CloseCode.FINISHED,
    "idle": CloseCode.IDLE,
    "not resumed": CloseCode.IDLE,
    "too long": CloseCode.IDLE,
    "draining": CloseCode.DRAINING,
    "failed": CloseCode.FAILED,
    "garbage": CloseCode.GARBAGE,
    "too fast": CloseCode.TOO_FAST,
    "overload": CloseCode.REFUSED,
}
_log = logging.getLogger(__name__)


class Session:
    """A live session as the event loop sees it.

    Attributes:
        id: its secret name.
        stream: its sound.
        outbox: its answers.
        wake: set when there is something to send, or the session is over.
        room: set when a client that waits may go on.
        connection: number of the connection that it belongs to.
        over: why it is over; None while it is not.
        garbage: number of messages that were no sound.
    """

    def __init__(self, name: str, stream: HostedStream, outbox_bytes: int) -> None:
        self.id, self.stream = name, stream
        waits = stream.hello.pace == "wait"
        self.outbox = Outbox(outbox_bytes * (WAIT_TIMES if waits else 1), None if waits else FACES_WAITING)
        self.wake, self.room = asyncio.Event(), asyncio.Event()
        self.room.set()
        self.connection = 1
        self.over: Ending | None = None
        self.garbage = 0

    @property
    def code(self) -> CloseCode:
        """Why its connection is closed."""
        return CODES[self.over] if self.over else CloseCode.FAILED


class LiveService:
    """The sessions.

    Attributes:
        registry: who is let in.
        meter: what sessions cost.
        limits: the limits.
        host: what works on the sessions.
    """

    def __init__(
        self,
        host: SessionHost,
        clock: Clock,
        limits: Limits,
        registry: SessionRegistry,
        meter: LoadMeter,
        metrics: Metrics,
    ) -> None:
        """`host`: what works on the sessions."""
        self.registry, self.meter, self.limits, self.host = registry, meter, limits, host
        self._clock, self._metrics = clock, metrics
        self._sessions: dict[str, Session] = {}
        self._of_stream: dict[HostedStream, Session] = {}
        self._ended = 0  # since the last collection
        self._watch()

    def __len__(self) -> int:
        return len(self._sessions)

    # -- a client's -----------------------------------------------------------------------------------------------------

    def open(self, hello: Hello, address: str) -> Session | Refused:
        """A session for a client, or why there is none."""
        now = self._clock.now_ns()
        share = self.meter.share(Kind(hello.mode, hello.updates_per_s))
        self._measure()
        load = self.host.load_with(share)
        late_s = self.meter.late_s(now)
        entry = self.registry.admit(address, now, room=load is not None, load=load or 0.0, late_s=late_s)
        if isinstance(entry, Refused):
            return self._refused(entry)
        start = hello.resume.frames * SAMPLE_RATE // hello.rate if hello.resume else 0
        stream = self.host.open(hello, share, longest=waiting_frames(hello, self.limits), start=start)
        session = Session(entry.id, stream, self.limits.outbox_bytes)
        self._sessions[entry.id] = self._of_stream[stream] = session
        _log.info("session began", extra={"session": name_in_logs(entry.id), "sessions": len(self._sessions)})
        return session

    def resume(self, hello: Hello) -> Session | Refused | None:
        """The session that a client was cut off from, with the answers that it has not got; or why it cannot go on now, though
        it waits on; None: it is gone.

        Raises:
            ProtocolError: the client sends another kind of sound than before.
        """
        if hello.resume is None:
            return None
        session = self._sessions.get(hello.resume.session)
        if session is None or session.over:
            return None
        before = session.stream.hello
        if (before.rate, before.format, before.channels) != (hello.rate, hello.format, hello.channels):
            raise ProtocolError(
                f"hello: the session has {before.rate} Hz, {before.format}, {before.channels} channels; resume it with these"
            )
        share = self.meter.share(session.stream.kind)
        self._measure()
        entry = self.registry.resume(session.id, self._clock.now_ns(), load=session.stream.load_with(share))
        if entry is None or isinstance(entry, Refused):
            return None if entry is None else self._refused(entry)
        session.connection = entry.connection
        session.outbox.rewind(hello.resume.received)
        session.wake.set()
        _log.info("session resumed", extra={"session": name_in_logs(session.id)})
        return session

    def _refused(self, refused: Refused) -> Refused:
        self._metrics.refused.labels(refused.reason).inc()
        _log.debug("session refused", extra={"reason": refused.reason})  # a hostile client could fill a disk with it
        return refused

    def sound(self, session: Session, samples: NDArray[Any]) -> None:
        """Sound of a session."""
        dropped = session.stream.push(samples)
        if dropped:
            self._metrics.dropped.inc(dropped)
        self.make_room(session)

    def make_room(self, session: Session) -> None:
        """Holds up a client that waits while too much of its sound, or of its answers, waits; else lets it go on."""
        if session.stream.hello.pace != "wait":
            return
        unread = session.outbox.waiting_bytes > self.limits.outbox_bytes / 2
        if not session.over and (unread or session.stream.full):
            session.room.clear()
        else:
            session.room.set()

    def lose(self, session: Session, frames: int) -> None:
        """Sound of a session that never arrived."""
        session.stream.lose(frames)

    def finish(self, session: Session) -> None:
        """The client has finished; when its last sound is heard the session is over."""
        session.stream.finish()

    def heard(self, session: Session) -> None:
        """The client has sent something."""
        self.registry.heard(session.id, self._clock.now_ns())

    def cut_off(self, session: Session, connection: int) -> None:
        """A connection is gone; the session waits for the client to come back."""
        self.registry.cut_off(session.id, connection, self._clock.now_ns())

    def end(self, session: Session, why: Ending) -> None:
        """Ends a session; its client is told."""
        if self._sessions.pop(session.id, None) is None:
            return
        self._of_stream.pop(session.stream, None)
        self._ended += 1
        self.registry.end(session.id, why)
        session.stream.close()
        if not self._sessions:
            self.meter.nobody_left()
        session.over = why
        session.wake.set()
        session.room.set()
        self._metrics.superseded.inc(session.outbox.superseded)
        _log.info(
            "session ended",
            extra={
                "session": name_in_logs(session.id),
                "reason": why,
                "seconds": round(session.stream.position / SAMPLE_RATE, 1),
                "faces": session.stream.faces,
                "sessions": len(self._sessions),
            },
        )

    # -- the host's -----------------------------------------------------------------------------------------------------

    def delivered(self, stream: HostedStream, turn: Outcome) -> None:
        """A turn of a session is over."""
        now = self._clock.now_ns()
        self.meter.worked(stream.kind, turn.busy_s, turn.sound_s, now)
        self._count(turn, now)
        if turn.moved:
            self.meter.begin_anew(now)  # nobody is to be refused, or told to go, for that
        session = self._of_stream.get(stream)
        if session is None:
            return
        if stream.finished:
            self.heard(session)  # a client that has finished sends nothing, and is not idle
        for answer in turn.answers:
            session.outbox.add(answer)
        if turn.answers:
            session.wake.set()
        self.make_room(session)
        if turn.failed:
            _log.error("session failed", extra={"session": name_in_logs(session.id), "why": turn.failed})
            self.end(session, "failed")
        elif turn.last:
            self.end(session, "draining" if self.registry.draining else "finished")

    def _count(self, turn: Outcome, now: int) -> None:
        metrics = self._metrics
        metrics.busy_s.inc(turn.busy_s)
        metrics.sound_s.inc(turn.sound_s)
        for late_ns, stages in zip(turn.late_ns, turn.stages_ns, strict=True):
            self.meter.updated(late_ns / 1e9, now)
            metrics.update_s.observe(late_ns / 1e9)
            for stage, ns in stages.items():
                metrics.stage(stage).observe(ns / 1e9)
        tally = turn.tally
        if tally is not NOTHING:
            for cause, count in tally.lost.items():
                metrics.lost.labels(cause).inc(count)
            metrics.faces.inc(tally.faces)
            metrics.skipped.inc(tally.skipped)
            metrics.engine_failures.inc(tally.failures)

    def _measure(self) -> None:
        """The predicted share of every session, of what its kind costs now. One that waits for its client costs memory, and no
        time until that comes back."""
        for session in self._sessions.values():
            entry = self.registry.get(session.id)
            away = entry is None or entry.state == "away"
            session.stream.share = 0.0 if away else self.meter.share(session.stream.kind)

    # -- time -----------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Ends the sessions whose time is over or that were too many, and frees what ended ones leave in circles of tasks and
        exceptions."""
        now = self._clock.now_ns()
        for name in self.registry.excess(self.meter.late_s(now, 0.5), now):
            self._metrics.refused.labels("overload").inc()
            self.end(self._sessions[name], "overload")
            self.meter.begin_anew(now)
        for name, why in self.registry.due(self._clock.now_ns()):
            session = self._sessions.get(name)
            if session is not None:
                self.end(session, why)
        if self._ended >= COLLECT_AFTER:
            self._ended = 0
            gc.collect()

    async def keep_sweeping(self) -> None:
        """Sweeps for ever."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    async def drain(self) -> None:
        """Lets nobody in, tells the clients, lets their sessions end, and after a time ends them."""
        self.registry.drain()
        for session in list(self._sessions.values()):
            entry = self.registry.get(session.id)
            if entry is not None and entry.state == "away":
                self.end(session, "draining")
            session.wake.set()
        began = self._clock.now_ns()
        while self._sessions and (self._clock.now_ns() - began) / 1e9 < self.limits.drain_s:
            await asyncio.sleep(0.05)
        # What was heard until now still gets its last estimate.
        for session in list(self._sessions.values()):
            self.finish(session)
        until = self._clock.now_ns() + 5_000_000_000
        while self._sessions and self._clock.now_ns() < until:
            await asyncio.sleep(0.02)
        for session in list(self._sessions.values()):
            self.end(session, "draining")

    def _watch(self) -> None:
        metrics, registry = self._metrics, self.registry
        metrics.watch("sessions", lambda: registry.count("open"), "open")
        metrics.watch("sessions", lambda: registry.count("away"), "away")
        metrics.watch("load", self._load)
        metrics.watch("late", lambda: self.meter.late_s(self._clock.now_ns()))
        metrics.watch("waiting", lambda: self.host.waiting)
        metrics.watch("draining", lambda: float(registry.draining))
        metrics.count_of("voxface_sessions_ended", "Sessions that ended, by reason", "reason", lambda: registry.ended)
        metrics.count_of(
            "voxface_sessions_began",
            "Sessions let in, and resumed",
            "how",
            lambda: {"opened": registry.opened, "resumed": registry.resumed},
        )
        self.host.watch(metrics)

    def _load(self) -> float:
        self._measure()
        return self.host.load


def waiting_frames(hello: Hello, limits: Limits) -> int:
    """The most frames of a session that may wait."""
    return max(1, min(round(limits.waiting_s * hello.rate), limits.waiting_bytes // hello.frame_bytes))


def name_in_logs(session: str) -> str:
    """A name by which logs tell sessions apart, with which nobody can resume one."""
    return hashlib.sha256(session.encode()).hexdigest()[:12]
