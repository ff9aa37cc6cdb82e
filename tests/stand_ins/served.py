"""A `voxface serve` of a test: a process of its own at a free port of this machine, and a client of its WebSocket."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

BLOCK = 1600
needs_serve = pytest.mark.skipif(find_spec("fastapi") is None, reason="fastapi comes with voxface[serve]")


class Served:
    """A server that runs.

    Attributes:
        url: http://…
        process: the process.
        logs: lines of its standard error so far.
    """

    def __init__(self, words: Sequence[str | os.PathLike[str]], environment: dict[str, str] | None) -> None:
        command = [sys.executable, "-m", "voxface", "serve", "--port", "0", "--json", *words]
        env = {name: value for name, value in os.environ.items() if name != "VOXFACE_TOKEN"} | (environment or {})
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        self.logs: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        self.about = self._document()
        self.url = str(self.about["url"])

    @property
    def stream_url(self) -> str:
        """ws://…/v1/stream"""
        return self.url.replace("http", "ws", 1) + "/v1/stream"

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Sends a signal and waits for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Waits for the end; returns the exit code."""
        try:
            return self.process.wait(timeout_s)
        finally:
            self._reading.join(5)

    def events(self) -> list[dict[str, Any]]:
        """Its log so far."""
        return [json.loads(line) for line in self.logs if line.startswith("{")]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.logs.append(line)

    def _document(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                found: dict[str, Any] = json.loads(text)
                return found
            except ValueError:
                continue
        self.process.wait(10)
        self._reading.join(5)
        raise AssertionError(f"the server did not start:\n{text}{''.join(self.logs)}")


@contextmanager
def served(*words: str | os.PathLike[str], environment: dict[str, str] | None = None) -> Iterator[Served]:
    """A server while the context lasts."""
    server = Served(words, environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)


class Client:
    """A client of a stream; all events it got are in `events`, binary messages in `binary`."""

    def __init__(self, url: str, hello: dict[str, Any] | None = None, **more: Any) -> None:
        from websockets.sync.client import connect

        self._open = connect(url, compression=None, proxy=None, max_size=None, **more)
        self.socket = self._open.__enter__()
        self.events: list[dict[str, Any]] = []
        self.binary: list[bytes] = []
        if hello is not None:
            self.send({"type": "hello", **hello})
            self.welcome = self.until("welcome", "refused")

    def send(self, document: dict[str, Any]) -> None:
        """Sends a JSON message."""
        self.socket.send(json.dumps(document))

    def offer(self, message: str | bytes) -> bool:
        """Sends a message; whether the connection was still open."""
        from websockets.exceptions import ConnectionClosed

        try:
            self.socket.send(message)
        except ConnectionClosed:
            return False
        return True

    def speak(self, samples: NDArray[Any], block: int = BLOCK) -> None:
        """Sends sound as fast as the server takes it."""
        for at in range(0, len(samples), block):
            self.socket.send(samples[at : at + block].tobytes())

    def next(self, timeout_s: float = 30.0) -> dict[str, Any] | None:
        """The next event; None at the end of the connection."""
        from websockets.exceptions import ConnectionClosed

        while True:
            try:
                message = self.socket.recv(timeout=timeout_s)
            except ConnectionClosed:
                return None
            if isinstance(message, bytes):
                self.binary.append(message)
                continue
            event: dict[str, Any] = json.loads(message)
            self.events.append(event)
            return event

    def until(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these kinds."""
        while (event := self.next()) is not None:
            if event["event"] in kinds:
                return event
        raise AssertionError(f"no {kinds} but the end: {self.closed}")

    def finish(self) -> list[dict[str, Any]]:
        """Finishes; returns all events."""
        self.send({"type": "finish"})
        return self.rest()

    def rest(self) -> list[dict[str, Any]]:
        """Reads to the end of the connection; returns all events."""
        while self.next() is not None:
            pass
        return self.events

    @property
    def closed(self) -> tuple[int | None, str | None]:
        """Code and reason of the close frame."""
        return self.socket.protocol.close_code, self.socket.protocol.close_reason

    def drop(self) -> None:
        """Cuts the connection without a close frame."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)

    def faces(self) -> list[dict[str, Any]]:
        """The faces so far."""
        return [event for event in self.events if event["event"] == "face"]

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of two embeddings."""
    a, b = np.array(one), np.array(other)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
