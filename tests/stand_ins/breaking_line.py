"""A line between a client and a server on this machine that a test can break."""

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class BreakingLine:
    """Passes bytes on, both ways, until the line is cut. A context manager.

    Attributes:
        url: where it listens, http://127.0.0.1:….
    """

    def __init__(self, url: str) -> None:
        self.redirect(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._cut = threading.Event()
        self._passes = threading.Event()
        self._passes.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections, and every new one until it is mended."""
        self._cut.set()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Has all connections that are open say nothing more, without closing them; new ones work."""
        self._passes.clear()
        self._passes = threading.Event()
        self._passes.set()

    def redirect(self, url: str) -> None:
        """Leads new connections to this server."""
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 80))

    def mend(self) -> None:
        """Lets new connections through."""
        self._cut.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._cut.is_set():
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=_pass, args=(one, other, self._passes), daemon=True).start()

    def __enter__(self) -> "BreakingLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._listening.close()


def _pass(one: socket.socket, other: socket.socket, passes: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            if passes.is_set():
                other.sendall(data)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
