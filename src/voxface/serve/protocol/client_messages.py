"""What a client may send after its hello, and how its bytes become samples."""

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.serve.protocol.hello import OPENAI_RATE, Hello, ProtocolError

DTYPES: Final = {"s16le": "<i2", "f32le": "<f4"}
APPEND: Final = "input_audio_buffer.append"
# Events of OpenAI's Realtime API that a client may send, and that need no answer here.
IGNORED: Final = frozenset({"session.update", "input_audio_buffer.clear", "response.create", "response.cancel"})


@dataclass(frozen=True)
class Append:
    """Sound in base64."""

    data: bytes


@dataclass(frozen=True)
class LostFrames:
    """So many frames are missing after those that were sent."""

    frames: int


@dataclass(frozen=True)
class Finish:
    """Nothing more comes; the last estimate is made, and the server closes the connection."""


@dataclass(frozen=True)
class Ping:
    """Is answered by a pong with the same id."""

    id: Any


@dataclass(frozen=True)
class Nothing:
    """A message that needs no answer."""


Message = Append | LostFrames | Finish | Ping | Nothing


class GarbageError(Exception):
    """Bytes that are no samples; the session goes on without them."""


def parse_json(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ProtocolError: it is none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("a text message is a JSON object") from None
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        raise ProtocolError('a text message is a JSON object with a "type"')
    return document


def openai_hello(document: dict[str, Any]) -> Hello | None:
    """The hello of a client that begins as with OpenAI's Realtime API, which sends pcm16 of 24 kHz; None: it does not."""
    kind = document["type"]
    return Hello(rate=OPENAI_RATE) if kind in (APPEND, "session.update") else None


def parse_message(document: dict[str, Any]) -> Message:
    """A message after the hello.

    Raises:
        ProtocolError: there is no such message.
        GarbageError: sound that is no base64.
    """
    kind = document["type"]
    if kind == APPEND:
        audio = document.get("audio")
        if not isinstance(audio, str):
            raise GarbageError(f"{APPEND}: audio is base64")
        try:
            return Append(base64.b64decode(audio, validate=True))
        except (binascii.Error, ValueError):
            raise GarbageError(f"{APPEND}: audio is base64") from None
    if kind == "lost":
        frames = document.get("frames")
        if isinstance(frames, bool) or not isinstance(frames, int) or not 0 <= frames < 1 << 40:
            raise ProtocolError("lost: frames is a whole number, at least 0")
        return LostFrames(frames)
    if kind in ("finish", "input_audio_buffer.commit"):
        return Finish()
    if kind == "ping":
        given = document.get("id")
        if given is not None and (isinstance(given, bool) or not isinstance(given, int | float | str)):
            raise ProtocolError("ping: id is a number or a text")
        if isinstance(given, float) and not math.isfinite(given):  # JSON that is sent back has no such number
            raise ProtocolError("ping: id is a finite number or a text")
        if isinstance(given, str) and len(given) > 64:
            raise ProtocolError("ping: id has at most 64 letters")
        return Ping(given)
    if kind in IGNORED:
        return Nothing()
    raise ProtocolError(f"no message of type {kind[:40]!r}")


def samples_of(data: bytes, hello: Hello) -> NDArray[Any]:
    """Samples int16 or float32 [n, channels] of a binary message.

    Raises:
        GarbageError: a part of a frame is missing.
    """
    if len(data) % hello.frame_bytes:
        raise GarbageError(f"{len(data)} bytes are no whole frames of {hello.frame_bytes} bytes")
    samples = np.frombuffer(data, DTYPES[hello.format]).reshape(-1, hello.channels)
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)
