"""The first message of a client: what it sends and what it wants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from voxface.runtime.audio.samples import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from voxface.runtime.config.live import MIN_CONFIDENCE, MODES, ONE_PICTURE, LiveConfig, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.serve.state.limits import Limits

VERSION: Final = 1
OPENAI_RATE: Final = 24_000  # Hz, of pcm16 where a client begins with `input_audio_buffer.append`
Want = Literal["embedding", "coefficients", "measurements", "vertices", "picture", "uncertainty"]
WANTS: Final[tuple[Want, ...]] = ("embedding", "coefficients", "measurements", "vertices", "picture", "uncertainty")
USUAL: Final[frozenset[Want]] = frozenset({"embedding", "coefficients", "measurements"})
FORMATS: Final = {"s16le": 2, "f32le": 4}  # name -> bytes of a sample
PACES: Final = ("live", "wait")
FIELDS: Final = frozenset({
    "type", "version", "rate", "format", "channels", "wants", "updates_per_second", "mode", "window_s", "detect_speaker_change",
    "min_confidence", "any_age", "pace", "resume",
})  # fmt: skip
LONGEST_ID: Final = 64


class ProtocolError(Exception):
    """A message that the protocol does not have; the text says what is wrong with it."""


@dataclass(frozen=True)
class Resume:
    """What a client that was cut off knows.

    Attributes:
        session: its secret id.
        received: number of the last event that it got.
        frames: number of frames that it has sent or lost.
    """

    session: str
    received: int
    frames: int


@dataclass(frozen=True)
class Hello:
    """What a client sends and what it wants.

    Attributes:
        rate: Hz.
        format: of the samples, "s16le" or "f32le".
        channels: interleaved.
        wants: what comes with a face.
        updates_per_s: updates a second.
        mode, window_s, detect_speaker_change, min_confidence, any_age: see `LiveConfig`.
        pace: "live": sound that the server cannot keep up with is dropped, the oldest first; "wait": the client waits.
        resume: the session to go on with; None: a new one.
    """

    rate: int = SAMPLE_RATE
    format: str = "s16le"
    channels: int = 1
    wants: frozenset[Want] = USUAL
    updates_per_s: float = 2.0
    mode: Mode = "incremental"
    window_s: float = 8.0
    detect_speaker_change: bool = True
    min_confidence: float = MIN_CONFIDENCE
    any_age: bool = False
    pace: Literal["live", "wait"] = "live"
    resume: Resume | None = None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of each channel."""
        return FORMATS[self.format] * self.channels

    def config(self) -> LiveConfig:
        """The settings of the session."""
        hop = round(SAMPLE_RATE / self.updates_per_s)
        window = round(self.window_s * SAMPLE_RATE)
        return LiveConfig(
            first=max(min(SAMPLE_RATE, window), hop),
            hop=hop,
            window=max(window, hop),
            mode=self.mode,
            image_reuse_distance=None if "picture" in self.wants else ONE_PICTURE,
            detect_speaker_change=self.detect_speaker_change,
            min_confidence=self.min_confidence,
            any_age=self.any_age,
        )


def parse_hello(document: Mapping[str, Any], limits: Limits) -> Hello:
    """A hello, checked.

    Raises:
        ProtocolError: a field that is unknown, or has a value that cannot be.
    """
    unknown = sorted(str(name) for name in document.keys() - FIELDS)
    if unknown:
        raise ProtocolError(f"hello: unknown field {_shown(unknown[0])}")
    version = _number(document, "version", VERSION, VERSION, 1 << 31, whole=True)
    if version != VERSION:
        raise ProtocolError(f"hello: version {version} is not known; this server speaks version {VERSION}")
    wants = document.get("wants", sorted(USUAL))
    if not isinstance(wants, list) or not all(isinstance(want, str) and want in WANTS for want in wants):
        raise ProtocolError(f"hello: wants is a list of {', '.join(WANTS)}")
    hello = Hello(
        rate=int(_number(document, "rate", SAMPLE_RATE, LOWEST_RATE, HIGHEST_RATE, whole=True)),
        format=_choice(document, "format", "s16le", tuple(FORMATS)),
        channels=int(_number(document, "channels", 1, 1, MOST_CHANNELS, whole=True)),
        wants=frozenset(wants),
        updates_per_s=_number(document, "updates_per_second", 2, 1, limits.updates_per_s),
        mode="exact" if _choice(document, "mode", "incremental", MODES) == "exact" else "incremental",
        window_s=_number(document, "window_s", min(8.0, limits.window_s), 1, limits.window_s),
        detect_speaker_change=_flag(document, "detect_speaker_change", True),
        min_confidence=_number(document, "min_confidence", MIN_CONFIDENCE, 0, 1),
        any_age=_flag(document, "any_age", False),
        pace="wait" if _choice(document, "pace", "live", PACES) == "wait" else "live",
        resume=_resume(document.get("resume")),
    )
    needed = hello.rate * hello.frame_bytes
    if needed > limits.bytes_per_s:
        raise ProtocolError(
            f"hello: {needed} bytes a second are more than {limits.bytes_per_s:g}; give a lower rate or fewer channels"
        )
    return hello


def _resume(given: Any) -> Resume | None:
    if given is None:
        return None
    if not isinstance(given, dict) or given.keys() - {"session", "received", "frames"}:
        raise ProtocolError("hello: resume has session, received and frames")
    session = given.get("session")
    if not isinstance(session, str) or not 1 <= len(session) <= LONGEST_ID:
        raise ProtocolError("hello: resume.session is the id that the welcome gave")
    received = int(_number(given, "received", 0, 0, 1 << 53, whole=True))
    return Resume(session, received, int(_number(given, "frames", 0, 0, 1 << 53, whole=True)))


def _number(
    document: Mapping[str, Any], name: str, usual: float, least: float, most: float, *, whole: bool = False
) -> float:
    value = document.get(name, usual)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        what = "a whole number" if whole else "a number"
        raise ProtocolError(f"hello: {name} is {what} from {least:g} to {most:g}, not {_shown(value)}")
    return value


def _choice(document: Mapping[str, Any], name: str, usual: str, choices: tuple[str, ...]) -> str:
    value = document.get(name, usual)
    if not isinstance(value, str) or value not in choices:
        raise ProtocolError(f"hello: {name} is {' or '.join(choices)}, not {_shown(value)}")
    return value


def _flag(document: Mapping[str, Any], name: str, usual: bool) -> bool:
    value = document.get(name, usual)
    if not isinstance(value, bool):
        raise ProtocolError(f"hello: {name} is true or false, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    try:
        return json.dumps(value)[:40]
    except (ValueError, RecursionError):
        return "what it is"
