"""A load generator: voices that are sent to a server at their own pace, and how late their faces come.

Each stream repeats the given recordings, begins at a time of its own, and sends a block when its last sample would have been
spoken. An update is as late as it comes after the intended time of the block that holds its newest sample, whether or not that
block was sent in time: a server, or this program, that falls behind cannot hide it.
"""

import asyncio
import contextlib
import gc
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from voxface.runtime.audio.decode import find_audio, read_blocks
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.timing.histogram import Histogram

BLOCK_S: Final = 0.1
BLOCK: Final = round(BLOCK_S * SAMPLE_RATE)
OPEN_S: Final = 10.0  # to connect
END_S: Final = 10.0  # for the last answers
SETTLED_S: Final = 20.0  # until then a server may refuse those that were let in together
MOST_SOUND_S: Final = 600.0  # of recordings that are read
NO_SERVER: Final = "no voxface server answers there"


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        url: of the server, ws:// or wss://, with the path.
        streams: number of voices.
        seconds: how long each speaks.
        updates_per_s: updates a second that each asks for.
        wants: what they ask for beside the events.
        token: what the server wants to know.
    """

    url: str
    streams: int
    seconds: float
    updates_per_s: float = 2.0
    wants: Sequence[str] = ("coefficients",)
    token: str | None = None


@dataclass
class Outcome:
    """What came back, of all streams.

    Attributes:
        late: how late updates came.
        settled: how late those came whose sound was due after `SETTLED_S`.
        faces: number of faces of each stream that was let in.
        refused: streams that were refused, by reason.
        broken: streams whose connection broke, by reason.
        counts: events by kind.
        sent_late: how late blocks were sent, which is this program's own fault.
    """

    late: Histogram = field(default_factory=Histogram)
    settled: Histogram = field(default_factory=Histogram)
    sent_late: Histogram = field(default_factory=Histogram)
    faces: list[int] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def to_json(self, load: Load) -> dict[str, Any]:
        """A row of the table."""
        return {
            "streams": load.streams,
            "accepted": len(self.faces),
            "refused": sum(self.refused.values()),
            "refused_by_reason": dict(self.refused),
            "broken": dict(self.broken),
            "seconds": load.seconds,
            "updates": self.late.count,
            "late_ms": self.late.milliseconds(),
            **({"late_ms_settled": self.settled.milliseconds()} if self.settled.count else {}),
            "sent_late_ms": self.sent_late.milliseconds(),
            "faces_of_a_stream": {
                "least": min(self.faces, default=0),
                "median": float(np.median(self.faces)) if self.faces else 0.0,
                "most": max(self.faces, default=0),
            },
            "events": dict(self.counts),
        }


def read_speech(paths: Sequence[Path]) -> NDArray[np.int16]:
    """Recordings one after another, int16 [n] at 16 kHz, ten minutes at most.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    parts: list[NDArray[np.int16]] = []
    heard = 0
    for file in find_audio(list(paths)):
        if heard >= MOST_SOUND_S * SAMPLE_RATE:
            break
        sound = np.concatenate([np.empty(0, np.int16), *read_blocks(file)])
        parts.append(sound)
        heard += len(sound)
    joined = np.concatenate(parts)
    if len(joined) < SAMPLE_RATE:
        raise InputError(f"{paths[0]}: less than a second of sound")
    return joined


def generate(
    load: Load,
    speech: NDArray[np.int16],
    context: ssl.SSLContext | None = None,
    tick: Callable[[float], None] = lambda s: None,
) -> Outcome:
    """Sends the load; takes `load.seconds` and a few seconds more, whatever the server does.

    Args:
        speech: int16 [n] at 16 kHz.
        context: for wss://.
        tick: is called about once a second with the seconds that have passed.

    Raises:
        ProviderError: the server cannot be reached, or lets nobody in who has not the right token.
    """
    gc.collect()
    gc.freeze()  # what was read before is not looked at again while times are measured
    try:
        return asyncio.run(_all(load, speech, context, tick))
    finally:
        gc.unfreeze()


async def _all(
    load: Load, speech: NDArray[np.int16], context: ssl.SSLContext | None, tick: Callable[[float], None]
) -> Outcome:
    outcome = Outcome()
    began = time.perf_counter() + 0.2
    blocks = [speech[at : at + BLOCK].astype("<i2").tobytes() for at in range(0, len(speech) - BLOCK, BLOCK)]
    streams = [
        asyncio.create_task(_Stream(load, blocks, number, began, outcome, context).run())
        for number in range(load.streams)
    ]
    longest = load.seconds + OPEN_S + END_S + 5.0
    while (left := [task for task in streams if not task.done()]) and time.perf_counter() - began < longest:
        await asyncio.wait(left, timeout=1.0)
        tick(time.perf_counter() - began)
    for task in streams:
        task.cancel()
    results = await asyncio.gather(*streams, return_exceptions=True)
    for result in results:
        if isinstance(result, asyncio.CancelledError):
            outcome.broken["never ended"] += 1
        elif isinstance(result, BaseException):
            raise result
    return outcome


class _Stream:
    """One voice."""

    def __init__(
        self,
        load: Load,
        blocks: list[bytes],
        number: int,
        began: float,
        outcome: Outcome,
        context: ssl.SSLContext | None,
    ) -> None:
        self._load, self._blocks, self._outcome, self._context = load, blocks, outcome, context
        # Streams begin evenly spaced over an update, and at different places of the recordings.
        self._began = began + number / load.streams / load.updates_per_s
        self._at = number * len(blocks) // load.streams
        self._faces = 0
        self._accepted = self._refused = False

    async def run(self) -> None:
        headers = {"Authorization": f"Bearer {self._load.token}"} if self._load.token else {}
        try:
            async with connect(
                self._load.url,
                additional_headers=headers,
                compression=None,
                proxy=None,
                ssl=self._context,
                open_timeout=OPEN_S,
                close_timeout=1.0,
                ping_interval=None,
                max_queue=None,
            ) as socket:
                await self._speak(socket)
        except ssl.SSLCertVerificationError as error:
            raise ProviderError(
                f"{self._load.url}: its certificate is not trusted ({error.verify_message}); name whoever signed it: --ca PEM"
            ) from None
        except InvalidHandshake as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status in (401, 403, 421):
                raise ProviderError(
                    f"{self._load.url}: refuses everybody (HTTP {status}); give the server's --token"
                ) from None
            if status is not None and status < 500:
                raise ProviderError(f"{self._load.url}: {NO_SERVER} (HTTP {status})") from None
            self._outcome.refused[type(error).__name__ if status is None else f"HTTP {status}"] += 1
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = type(error).__name__
            if self._accepted:
                self._outcome.broken[reason] += 1
            elif not self._refused:
                self._outcome.refused[reason] += 1
        if self._accepted:
            self._outcome.faces.append(self._faces)

    async def _speak(self, socket: ClientConnection) -> None:
        hello = {
            "type": "hello",
            "version": 1,
            "rate": SAMPLE_RATE,
            "format": "s16le",
            "wants": list(self._load.wants),
            "updates_per_second": self._load.updates_per_s,
        }
        await socket.send(json.dumps(hello))
        answer = self._answer(await asyncio.wait_for(socket.recv(), OPEN_S))
        if answer["event"] != "welcome":
            self._outcome.refused[str(answer.get("reason", answer["event"]))] += 1
            return
        self._accepted = True
        self._began = max(self._began, time.perf_counter())
        hearing = asyncio.create_task(self._hear(socket))
        try:
            await self._send(socket, hearing)
            if not hearing.done():
                await socket.send('{"type":"finish"}')
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hearing, END_S)
        finally:
            hearing.cancel()

    def _answer(self, message: str | bytes) -> dict[str, Any]:
        """The first event of a server.

        Raises:
            ProviderError: it is none.
        """
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(message)
            if isinstance(document, dict) and isinstance(document.get("event"), str):
                return document
        raise ProviderError(f"{self._load.url}: {NO_SERVER} (another program speaks there)")

    async def _send(self, socket: ClientConnection, hearing: "asyncio.Task[None]") -> None:
        for number in range(int(self._load.seconds / BLOCK_S)):
            due = self._began + (number + 1) * BLOCK_S
            left = due - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
            if hearing.done():
                hearing.result()
                return
            self._outcome.sent_late.add(round(1e9 * (time.perf_counter() - due)))
            await socket.send(self._blocks[(self._at + number) % len(self._blocks)])

    async def _hear(self, socket: ClientConnection) -> None:
        async for message in socket:
            now = time.perf_counter()
            if isinstance(message, bytes):
                continue
            document = json.loads(message)
            kind = str(document["event"])
            self._outcome.counts[kind] += 1
            if kind == "face" and "total" in document.get("latency_ms", {}):  # the last one is asked for, not due
                self._faces += 1
                block = -(-int(document["position"]) // BLOCK)
                late_ns = round(1e9 * (now - self._began - block * BLOCK_S))
                self._outcome.late.add(late_ns)
                if block * BLOCK_S > SETTLED_S:
                    self._outcome.settled.add(late_ns)
            elif kind == "goodbye" and document.get("reason") == "overload":  # let in, and refused soon after
                self._accepted, self._refused = False, True
                self._outcome.refused["overload"] += 1
            elif kind == "goodbye" and document.get("reason") != "finished":
                self._outcome.broken[str(document.get("reason"))] += 1
