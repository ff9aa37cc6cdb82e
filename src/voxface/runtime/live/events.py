"""What a live session tells: frozen events, each with the range of absolute samples (16 kHz) it speaks of.

`voxface.runtime.live.sinks.json_lines` writes them as JSON.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from voxface.runtime.inference.estimate import Estimate

NoFaceReason = Literal["silence", "noise", "music", "too quiet", "clipping", "all-zero microphone", "too little speech"]
LossCause = Literal["queue full", "device overflow", "device away", "recording gap"]


@dataclass(frozen=True)
class VoiceStarted:
    """A turn of speech began at sample `start`."""

    kind: ClassVar[str] = "voice-started"
    start: int


@dataclass(frozen=True)
class VoiceEnded:
    """The turn of speech [start, end) is over: nothing more came within the hangover."""

    kind: ClassVar[str] = "voice-ended"
    start: int
    end: int


@dataclass(frozen=True)
class FaceEstimated:
    """A face from the window of speech up to now.

    Attributes:
        position: samples heard when it was made. In mode "exact" it is what `voxface run` makes of exactly these, as long
            as their speech fits the window and is of one speaker.
        speaker: number of the speaker, from 1; another number is another speaker's window.
        moved_mm: how far the mesh moved since the estimate before (RMS over vertices); None for a speaker's first.
        converged: whether it has moved by less than half a millimetre for a second of speech.
        estimate: what is said.
    """

    kind: ClassVar[str] = "face"
    position: int
    speaker: int
    moved_mm: float | None
    converged: bool
    estimate: Estimate


@dataclass(frozen=True)
class NoFace:
    """From [start, end) no face is made, for `reason`; told when the reason changes. Whatever face there was may stay."""

    kind: ClassVar[str] = "no-face"
    start: int
    end: int
    reason: NoFaceReason


@dataclass(frozen=True)
class SpeakerChanged:
    """Somebody else speaks.

    Attributes:
        start: first sample of the new speaker's window.
        position: samples heard when it was noticed.
        speaker: the new number.
        score: the evidence; above 0 a change is likelier than not.
    """

    kind: ClassVar[str] = "speaker-changed"
    start: int
    position: int
    speaker: int
    score: float


@dataclass(frozen=True)
class Skipped:
    """The estimate due at `position` was left out, because more sound was waiting already."""

    kind: ClassVar[str] = "skipped"
    position: int


@dataclass(frozen=True)
class EngineFailed:
    """The estimate due at `position` failed; the session goes on."""

    kind: ClassVar[str] = "engine-failed"
    position: int
    message: str


@dataclass(frozen=True)
class Lost:
    """The samples [start, end) never arrived. Speech is not joined across them."""

    kind: ClassVar[str] = "lost"
    start: int
    end: int
    cause: LossCause


@dataclass(frozen=True)
class Rejected:
    """`count` samples within [start, end) were NaN, infinite or far out of range; zeros stand for them."""

    kind: ClassVar[str] = "rejected"
    start: int
    end: int
    count: int


@dataclass(frozen=True)
class StreamStarted:
    """A device or file began to deliver at sample `start`, as it was opened: its rate in Hz and its channels."""

    kind: ClassVar[str] = "stream-started"
    start: int
    source: str
    rate: int
    channels: int


@dataclass(frozen=True)
class StreamEnded:
    """The device that delivered until sample `start` is gone; the run waits for it."""

    kind: ClassVar[str] = "stream-ended"
    start: int
    source: str


Event = (
    VoiceStarted
    | VoiceEnded
    | FaceEstimated
    | NoFace
    | SpeakerChanged
    | Skipped
    | EngineFailed
    | Lost
    | Rejected
    | StreamStarted
    | StreamEnded
)
