"""Listening, TLS and signals: from settings to a process that serves until SIGTERM, and then lets everybody finish."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn

from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.runtime.live.clock import SystemClock
from voxface.serve.app import Server
from voxface.serve.http_protocol import HEAD_BYTES, http_protocol
from voxface.serve.page import FOLDER

FLUSH_S: Final = 3.0  # how long clients may take to read their last answers
SWITCH_S: Final = 0.001  # how long a thread may keep the interpreter from the event loop
_log = logging.getLogger(__name__)


class _Uvicorn(uvicorn.Server):
    """uvicorn without signal handlers of its own: it would tell all clients to go at once."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: there is no such address here, or it is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: no address of this machine ({error.strerror or error})") from None
    try:
        if sys.platform != "win32":  # there it lets two programs have the same port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise UsageError(f"--host {host} --port {port}: cannot listen there ({error.strerror or error})") from None
    return listening


def check_certificate(certificate: Path, key: Path) -> None:
    """Checks that TLS can be spoken with these files.

    Raises:
        InputError: they are missing, unreadable, or do not belong together.
    """
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InputError(
            f"--certificate {certificate} --key {key}: TLS takes them not ({reason}); give PEM files, and a key without "
            "a password"
        ) from None


def serve(
    server: Server,
    listening: socket.socket,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    seconds: float | None = None,
    started: Callable[[], None] = lambda: None,
) -> str:
    """Serves until a signal comes or the time is over; then everybody may finish. Returns why it ended.

    Args:
        server: the application; it is closed by whoever made it.
        listening: see `bind`.
        certificate, key: PEM files for TLS; None: none.
        seconds: how long to serve; None: until a signal.
        started: is called once clients may come.

    Raises:
        ProviderError: the server did not start.
    """
    config = uvicorn.Config(
        server.app,
        http=http_protocol(server.limits, server.metrics, SystemClock()),
        ws="websockets-sansio",
        ws_max_size=server.limits.message_bytes,
        ws_ping_interval=server.limits.ping_s,
        ws_ping_timeout=None,  # the pong of a client that is held up stands behind its sound; who is gone is idle
        ws_per_message_deflate=False,  # what is small on the wire must not be large in memory
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=HEAD_BYTES,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    running = _Uvicorn(config)
    server.metrics.watch("connections", lambda: len(running.server_state.connections))
    switch = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    # What is loaded stays. Not looking at it again keeps collections short, and makes them come as often as sessions end.
    gc.collect()
    gc.freeze()
    try:
        return asyncio.run(_serve(server, running, listening, seconds, started))
    except SystemExit as error:
        raise ProviderError("the server did not start; the log above says why") from error
    finally:
        sys.setswitchinterval(switch)
        gc.unfreeze()


async def _serve(
    server: Server,
    running: _Uvicorn,
    listening: socket.socket,
    seconds: float | None,
    started: Callable[[], None],
) -> str:
    asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(running.serve([listening]))
    with _on_signals(asked):
        while not running.started and not serving.done():
            await asyncio.sleep(0.01)
        if not serving.done():
            if not (FOLDER / "index.html").is_file():
                _log.debug("no page")
            started()
        reason = "end of time"
        waited: set[asyncio.Future[None] | asyncio.Future[str]] = {serving, asked}
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            reason = asked.result()
        if not serving.done():
            _log.info("draining", extra={"reason": reason, "sessions": len(server.service)})
            await server.drain()
            await _flushed(running)
        running.should_exit = True
        await serving
        return reason


async def _flushed(running: _Uvicorn) -> None:
    """Waits until clients have got their last answers, as far as they read them."""
    until = asyncio.get_running_loop().time() + FLUSH_S
    while running.server_state.tasks and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def _on_signals(asked: "asyncio.Future[str]") -> Iterator[None]:
    """The first SIGTERM or SIGINT asks for the end; a second one ends the process as it would any other."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]

    def ask(number: signal.Signals) -> None:
        for each in numbers:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        if not asked.done():
            asked.set_result(number.name)

    try:
        for number in numbers:
            loop.add_signal_handler(number, ask, number)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or beside the main thread
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
