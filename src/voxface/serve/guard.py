"""What stands before every request: access, and headers that keep pages of others away."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxface.serve.access import Access, Denial
from voxface.serve.http_errors import denied_response
from voxface.serve.metrics import Metrics

# What needs no token: it tells nothing but that the server is there, and the page must be loaded before it can ask for one.
API: Final = "/v1/"
WITH_TOKEN: Final = (API, "/metrics", "/openapi.json")
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application that lets through to another who may use it."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or has it answered."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        denial = self._denial(scope)
        if denial is not None:
            self._metrics.refused.labels(denial).inc()
            response = denied_response(denial)
            if scope["type"] == "websocket":
                await receive()  # "websocket.connect"
                await response(scope, receive, send)
                return
            await response(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, send if scope["type"] == "websocket" else _with_headers(send))

    def _denial(self, scope: Scope) -> Denial | None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        public = not str(scope["path"]).startswith(WITH_TOKEN)
        return self._access.denial(headers, scope.get("subprotocols", ()), public=public)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
