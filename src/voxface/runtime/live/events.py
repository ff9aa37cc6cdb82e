"""Events of a live session: frozen data, each with the absolute samples (16 kHz) that it is about.

`voxface.runtime.live.sinks.json_lines` writes them as JSON.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from voxface.runtime.errors import NoFaceReason
from voxface.runtime.inference.estimate import Estimate

LossCause = Literal["queue full", "device overflow", "device away", "recording gap"]


@dataclass(frozen=True)
class VoiceStarted:
    """A turn of speech began at sample `start`."""

    kind: ClassVar[str] = "voice-started"
    start: int


@dataclass(frozen=True)
class VoiceEnded:
    """The turn of speech [start, end) is over: no speech followed within the hangover."""

    kind: ClassVar[str] = "voice-ended"
    start: int
    end: int


@dataclass(frozen=True)
class FaceEstimated:
    """A face from the window of speech up to now.

    Attributes:
        position: number of samples heard when the face was made. In mode "exact" the face is the one that `voxface run` makes
            of exactly these samples, as long as their speech fits the window and is of one speaker.
        speaker: number of the speaker, counted from 1.
        moved_mm: how far the mesh moved since the estimate before (RMS over vertices); None for a speaker's first.
        converged: whether the mesh has moved by less than half a millimetre per estimate for a second of speech.
        estimate: the face.
    """

    kind: ClassVar[str] = "face"
    position: int
    speaker: int
    moved_mm: float | None
    converged: bool
    estimate: Estimate


@dataclass(frozen=True)
class NoFace:
    """From samples [start, end) no face is made, for `reason`; sent when the reason changes. The last face may stay shown."""

    kind: ClassVar[str] = "no-face"
    start: int
    end: int
    reason: NoFaceReason


@dataclass(frozen=True)
class SpeakerChanged:
    """Another speaker speaks.

    Attributes:
        start: first sample of the new speaker's window.
        position: number of samples heard when the change was noticed.
        speaker: number of the new speaker.
        score: the evidence for the change above the detector's threshold; greater than 0.
    """

    kind: ClassVar[str] = "speaker-changed"
    start: int
    position: int
    speaker: int
    score: float


@dataclass(frozen=True)
class Skipped:
    """The estimate due at `position` was left out, because newer sound was already waiting."""

    kind: ClassVar[str] = "skipped"
    position: int


@dataclass(frozen=True)
class EngineFailed:
    """The estimate due at `position` failed with `message`; the session goes on."""

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
    """A device or file began to deliver at sample `start`, with its rate in Hz and number of channels as it was opened."""

    kind: ClassVar[str] = "stream-started"
    start: int
    source: str
    rate: int
    channels: int


@dataclass(frozen=True)
class StreamEnded:
    """The device that delivered up to sample `start` is gone; the run waits for its return."""

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
