"""uvicorn's HTTP protocol with limits that it lacks: time for the head of a request, and how many connections there may be."""

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from voxface.runtime.live.clock import Clock
from voxface.serve.metrics import Metrics
from voxface.serve.state.limits import Limits
from voxface.serve.state.token_bucket import AddressBuckets

HEAD_BYTES: Final = 16 << 10  # of the head of a request


def http_protocol(limits: Limits, metrics: Metrics, clock: Clock) -> type[H11Protocol]:
    """The protocol class of one server."""
    buckets = AddressBuckets(limits.connections_per_s)

    def refuse(reason: str) -> None:
        metrics.refused.labels(reason).inc()

    class GuardedHttp(H11Protocol):
        """One connection."""

        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            if len(self.connections) > limits.connections:
                refuse("connections")
                transport.abort()
            elif not buckets.take(address, clock.now_ns()):
                refuse("connecting-too-fast")
                transport.abort()
            else:
                self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._reads_head():
                self._wait_for_head()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            refuse("no-http")
            super().send_400_response(msg)

        def _reads_head(self) -> bool:
            """Whether a request has not come in whole yet, up to its body."""
            upgraded = self not in self.connections
            return not upgraded and (self.cycle is None or self.cycle.response_complete)

        def _wait_for_head(self) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(limits.header_s, self._too_slow)

        def _stop_waiting(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _too_slow(self) -> None:
            refuse("slow-head")
            self.transport.abort()

    return GuardedHttp
