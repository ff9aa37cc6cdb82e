"""The WebSocket of `/v1/stream`: one connection of a client, from its hello to the close frame."""

import asyncio
import contextlib
import logging
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from voxface.runtime.live.clock import Clock
from voxface.serve.access import SUBPROTOCOL
from voxface.serve.live_service import LiveService, Session
from voxface.serve.metrics import Metrics
from voxface.serve.protocol.answers import as_text
from voxface.serve.protocol.client_messages import (
    Append,
    Finish,
    GarbageError,
    LostFrames,
    Ping,
    openai_hello,
    parse_json,
    parse_message,
    samples_of,
)
from voxface.serve.protocol.close_codes import CloseCode, close_reason
from voxface.serve.protocol.hello import VERSION, Hello, ProtocolError, parse_hello
from voxface.serve.state.limits import Limits
from voxface.serve.state.session_registry import IN_WORDS, Refused
from voxface.serve.state.token_bucket import TokenBucket

_log = logging.getLogger(__name__)
WAIT_S: Final = 0.02  # between looks at whether a client that waits may go on
GONE: Final = (WebSocketDisconnect, RuntimeError)  # Starlette's ways to say so


class _EndedError(Exception):
    """The connection is to be closed."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class StreamRoute:
    """What happens on a connection.

    Attributes:
        service: the live sessions.
        metrics: gets counts of what is refused.
        limits: the limits.
        clock: the clock.
    """

    def __init__(
        self, service: LiveService, metrics: Metrics, limits: Limits, clock: Clock, about: dict[str, Any]
    ) -> None:
        """`about`: what the welcome tells of the bundle."""
        self.service, self.metrics, self.limits = service, metrics, limits
        self.clock, self._about = clock, about

    async def serve(self, socket: WebSocket) -> None:
        """Serves a client until it or the server closes the connection."""
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None
        connection = _Connection(self, socket)
        try:
            await socket.accept(subprotocol)
            await connection.run()
        except _EndedError as end:
            await connection.close(end.code, end.reason)
        except GONE:
            pass
        finally:
            connection.leave()

    async def hello(self, socket: WebSocket) -> tuple[Hello, dict[str, Any] | None]:
        """The hello of a client, and the message after it where that was read already.

        Raises:
            _EndedError: there was none in time, or it cannot be.
        """
        try:
            async with asyncio.timeout(self.limits.hello_s):
                message = await socket.receive()
        except TimeoutError:
            self.metrics.refused.labels("no-hello").inc()
            raise _EndedError(CloseCode.IDLE, f"no hello within {self.limits.hello_s:g} s") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        try:
            if text is None:
                raise ProtocolError('the first message is {"type": "hello"}')
            document = parse_json(text)
            if document["type"] == "hello":
                return parse_hello(document, self.limits), None
            found = openai_hello(document)
            if found is None:
                raise ProtocolError('the first message is {"type": "hello"}')
            return found, document
        except ProtocolError as error:
            self.metrics.refused.labels("protocol").inc()
            raise _EndedError(CloseCode.PROTOCOL, str(error)) from None

    def session(self, hello: Hello, address: str) -> tuple[Session, bool] | Refused:
        """The session for a hello, and whether it goes on with an earlier one; or why there is none.

        Raises:
            _EndedError: the session to be resumed was of another kind of sound.
        """
        try:
            resumed = self.service.resume(hello)
        except ProtocolError as error:
            self.metrics.refused.labels("protocol").inc()
            raise _EndedError(CloseCode.PROTOCOL, str(error)) from None
        if isinstance(resumed, Refused):
            return resumed
        if resumed is not None:
            return resumed, True
        opened = self.service.open(hello, address)
        return opened if isinstance(opened, Refused) else (opened, False)

    def welcome(self, session: Session, resumed: bool) -> dict[str, Any]:
        """What a client is told first."""
        stream, limits = session.stream, self.limits
        return {
            "event": "welcome",
            "version": VERSION,
            "session": session.id,
            "resumed": resumed,
            "frames": stream.received if resumed else 0,
            "position": stream.position,
            "bundle": self._about,
            "hop": stream.hello.config().hop,
            "limits": {
                "idle_s": limits.idle_s,
                "resume_s": limits.resume_s,
                "waiting_s": limits.waiting_s,
                "message_bytes": limits.message_bytes,
                "messages_per_s": limits.messages_per_s,
            },
        }


class _Connection:
    def __init__(self, route: StreamRoute, socket: WebSocket) -> None:
        self._route, self._socket = route, socket
        self._session: Session | None = None
        self._number = 0
        now = route.clock.now_ns()
        self._messages = TokenBucket(route.limits.messages_per_s, now)
        self._bytes = TokenBucket(route.limits.bytes_per_s, now)
        self._told_draining = False

    async def run(self) -> None:
        route = self._route
        hello, first = await route.hello(self._socket)
        client = self._socket.client
        found = route.session(hello, client.host if client else "")
        if isinstance(found, Refused):
            words = IN_WORDS[found.reason]
            document = {"event": "refused", "reason": found.reason, "message": words, "retry_s": found.retry_s}
            await self._socket.send_text(str(as_text(document)))
            raise _EndedError(CloseCode.REFUSED, f"{found.reason}: {words}")
        session, resumed = found
        self._session, self._number = session, session.connection
        await self._socket.send_text(str(as_text(route.welcome(session, resumed))))
        sending = asyncio.create_task(self._send(session))
        try:
            if first is not None:
                await self._take(session, first)
            reading = asyncio.create_task(self._read(session))
            done, _ = await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)
            for task in done:
                task.result()
        finally:
            sending.cancel()

    # -- what comes -----------------------------------------------------------------------------------------------------

    async def _read(self, session: Session) -> None:
        service = self._route.service
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            service.heard(session)
            data, text = message.get("bytes"), message.get("text")
            if not await self._may_send(session, len(data or text or "")):
                self._route.metrics.refused.labels("too-fast").inc()
                service.end(session, "too fast")
                raise _EndedError(CloseCode.TOO_FAST, "more messages or bytes a second than the server takes")
            await self._take(session, data if data is not None else text or "")

    async def _may_send(self, session: Session, size: int) -> bool:
        """Whether a message of so many bytes may come now; where a client waits it may, a little later."""
        for bucket, count in ((self._messages, 1), (self._bytes, size)):
            while not bucket.take(self._route.clock.now_ns(), count):
                if session.stream.hello.pace != "wait":
                    return False
                await asyncio.sleep(WAIT_S)
        return True

    async def _take(self, session: Session, message: bytes | str | dict[str, Any]) -> None:
        """Does what a message asks for; one that is garbage is counted, and the client is told."""
        try:
            if isinstance(message, bytes):
                await self._sound(session, message)
            else:
                await self._handle(session, parse_json(message) if isinstance(message, str) else message)
        except GarbageError as error:
            await self._garbage(session, "sound", str(error))
        except ProtocolError as error:
            await self._garbage(session, "message", str(error))

    async def _handle(self, session: Session, document: dict[str, Any]) -> None:
        service = self._route.service
        message = parse_message(document)
        if isinstance(message, Append):
            await self._sound(session, message.data)
        elif isinstance(message, LostFrames):
            service.lose(session, message.frames)
        elif isinstance(message, Finish):
            service.finish(session)
        elif isinstance(message, Ping):
            await self._socket.send_text(str(as_text({"event": "pong", "id": message.id})))

    async def _sound(self, session: Session, data: bytes) -> None:
        samples = samples_of(data, session.stream.hello)
        self._route.service.sound(session, samples)
        # A client that waits is not read from meanwhile, so TCP tells it to wait.
        while not session.room.is_set() and not session.over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await session.room.wait()
            self._route.service.heard(session)  # that it sends nothing is the server's doing

    async def _garbage(self, session: Session, kind: str, why: str) -> None:
        session.garbage += 1
        self._route.metrics.garbage.labels(kind).inc()
        if session.garbage > self._route.limits.garbage:
            self._route.service.end(session, "garbage")
            raise _EndedError(CloseCode.GARBAGE, why)
        await self._socket.send_text(str(as_text({"event": "error", "code": f"bad-{kind}", "message": why[:200]})))

    # -- what goes ------------------------------------------------------------------------------------------------------

    async def _send(self, session: Session) -> None:
        while True:
            await session.wake.wait()
            session.wake.clear()
            if session.connection != self._number:
                session.wake.set()  # the other connection's
                raise _EndedError(CloseCode.TAKEN_OVER, "another connection has resumed the session")
            if self._route.service.registry.draining and not self._told_draining:
                self._told_draining = True
                seconds = self._route.limits.drain_s
                await self._socket.send_text(str(as_text({"event": "draining", "seconds": seconds})))
            while session.connection == self._number and (answer := session.outbox.take()) is not None:
                for part in answer.parts:
                    if isinstance(part, str):
                        await self._socket.send_text(part)
                    else:
                        await self._socket.send_bytes(part)
                self._route.service.make_room(session)
            if session.over:
                await self._socket.send_text(str(as_text(_goodbye(session))))
                raise _EndedError(session.code, session.over)

    async def close(self, code: CloseCode, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            try:
                async with asyncio.timeout(5.0):
                    await self._socket.close(int(code), close_reason(reason))
            except (TimeoutError, *GONE):
                pass

    def leave(self) -> None:
        if self._session is not None and not self._session.over:
            self._route.service.cut_off(self._session, self._number)


def _goodbye(session: Session) -> dict[str, Any]:
    stream = session.stream
    return {
        "event": "goodbye",
        "reason": session.over,
        "number": session.outbox.number,
        "position": stream.position,
        "faces": stream.faces,
        "dropped_frames": stream.dropped,
        "superseded": session.outbox.superseded,
    }
