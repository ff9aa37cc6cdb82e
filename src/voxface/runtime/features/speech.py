"""The speech of a stream or of a window of it, as features, and the check that there is any."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.levels import Level
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.errors import NoFaceReason, NoSpeechError
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.periodicity import FRAME, LEAST_PERIODIC
from voxface.runtime.features.speech_modulation import measurable_movement, modulation_score

HOP: Final = SAMPLE_RATE // 100  # samples from one frame to the next, of every front end
JUDGED: Final = FRAME // HOP  # frames whose periodicity is judged together
SAID: Final[dict[NoFaceReason, str]] = {
    "silence": "nothing as loud as a voice",
    "all-zero microphone": "digital silence, every sample is zero",
    "too quiet": "hardly louder than silence, so the VAD cannot tell speech",
    "noise": "too little of it is voiced as speech is",
    "music": "it does not vary as speech does",
    "clipping": "it is distorted, too many samples are at full scale",
    "too little speech": "at least 0.64 s of it are needed",
    "confidence": "it is not certain enough that this is a voice",
    "child": "it is a child's voice, and the faces are of adults",
}


@dataclass(frozen=True, eq=False)  # comparing arrays gives no truth value, so == of all fields would raise
class Speech:
    """Speech, and the features that networks and decisions need of it.

    Attributes:
        samples: length of the sound in which the speech lay, in samples at 16 kHz, pauses included.
        segments: [start, end) of each speech segment, absolute sample indices.
        voiced_samples: samples of all segments together.
        periodic: share of the speech that is periodic as a voice is, 0 to 1.
        window: the log-mel frames of the segments, concatenated.
        front_end_ns: nanoseconds of the stages "vad" and "features", if the front end measured them; in a live session they
            are in the timer of the update.
        known_peaks, known_movement: `peaks` and `movement`, if they are known already.
        periodic_frames: whether each 40 ms of the speech are periodic, bool [k], for whole sounds; None for a window.
        levels: level of each second of the sound, pauses included, for whole sounds; empty for a window.
    """

    samples: int
    segments: list[tuple[int, int]]
    voiced_samples: int
    periodic: float
    window: FrameWindow
    front_end_ns: Mapping[str, int] = field(default_factory=dict)
    known_peaks: NDArray[np.float32] | None = None
    known_movement: Movement | None = None
    periodic_frames: NDArray[np.bool_] | None = None
    levels: tuple[Level, ...] = ()

    @property
    def log_mel(self) -> NDArray[np.float32]:
        """The log-mel frames, float32 [T, mels], before normalisation."""
        return self.window.frames

    @cached_property
    def peaks(self) -> NDArray[np.float32]:
        """The highest mel bin of each frame, float32 [T]: how loud the frame is."""
        return self.log_mel.max(1) if self.known_peaks is None else self.known_peaks

    @cached_property
    def movement(self) -> Movement | None:
        """The movement of the spectrum; None if the sound is too short to measure it."""
        return measurable_movement(self.log_mel) if self.known_movement is None else self.known_movement

    def speech_modulation(self, weights: SpeechModulationWeights) -> float:
        """How much the sound moves as speech does, 0 to 1, see `voxface.runtime.features.speech_modulation`."""
        return modulation_score(self.movement, weights)

    @property
    def seconds(self) -> float:
        """Length of the sound, pauses included."""
        return self.samples / SAMPLE_RATE

    @property
    def voiced_seconds(self) -> float:
        """Length of the speech."""
        return self.voiced_samples / SAMPLE_RATE

    def part(self, kept: NDArray[np.bool_]) -> "Speech":
        """The speech in the frames `kept`, bool [T], of a whole sound."""
        edges = np.flatnonzero(np.diff(kept, prepend=False, append=False)).tolist()
        segments = [s for first, end in zip(edges[::2], edges[1::2], strict=True) for s in self.segments_of(first, end)]
        periodic = np.empty(0, np.bool_)
        if self.periodic_frames is not None:
            count = min(len(self.periodic_frames), len(kept) // JUDGED)
            periodic = self.periodic_frames[:count][kept[: JUDGED * count].reshape(count, JUDGED).all(1)]
        return replace(
            self,
            segments=segments,
            voiced_samples=sum(end - start for start, end in segments),
            periodic=float(np.count_nonzero(periodic)) / len(periodic) if len(periodic) else self.periodic,
            window=FrameWindow.whole(self.log_mel[kept]),
            known_peaks=None,
            known_movement=None,
            periodic_frames=periodic,
        )

    def segments_of(self, first: int, end: int) -> list[tuple[int, int]]:
        """The segments in which the frames [first, end) lie: [start, end) of each, absolute sample indices."""
        starts, lengths, places = self._places
        inside = slice(int(np.searchsorted(places + lengths, first * HOP, "right")), np.searchsorted(places, end * HOP))
        low = np.maximum(first * HOP - places[inside], 0) + starts[inside]
        high = np.minimum(end * HOP - places[inside], lengths[inside]) + starts[inside]
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def position(self, frame: int) -> int:
        """The absolute sample at which a frame begins; of one behind the last, the end of the speech."""
        starts, lengths, places = self._places
        at = max(0, int(np.searchsorted(places, frame * HOP, "right")) - 1)
        return int(starts[at] + min(frame * HOP - places[at], lengths[at]))

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """First sample and length of each segment, and how many samples of speech lie before it."""
        starts, ends = np.array(self.segments, np.int64).reshape(-1, 2).T
        return starts, ends - starts, np.cumsum(ends - starts) - (ends - starts)


def no_speech(seconds: float, reason: NoFaceReason) -> NoSpeechError:
    """The error for a sound of so many seconds that gets no face for `reason`."""
    return NoSpeechError(f"no speech found in {seconds:.2f} s ({reason}: {SAID[reason]})", reason)


def quiet_reason(speech: Speech) -> NoFaceReason | None:
    """The reason that a live session gives most often for the seconds of a whole sound in which the VAD heard no speech; None
    if there is no such second."""
    voiced = {
        second for start, end in speech.segments for second in range(start // SAMPLE_RATE, -(-end // SAMPLE_RATE))
    }
    reasons = Counter(level.reason() for second, level in enumerate(speech.levels) if second not in voiced)
    return reasons.most_common(1)[0][0] if reasons else None


def check_speech(speech: Speech) -> None:
    """Raises NoSpeechError, with the reason, unless there is speech to make a face of. It does not tell speech from music, see
    `voxface.runtime.features.speech_gate`."""
    if speech.samples == 0:
        raise NoSpeechError("no samples, so no speech (too little speech)", "too little speech")
    if not speech.voiced_samples:
        raise no_speech(speech.seconds, quiet_reason(speech) or "silence")
    if speech.periodic < LEAST_PERIODIC:
        raise NoSpeechError(
            f"no speech found in {speech.seconds:.2f} s (noise: there is sound, but only {speech.periodic:.0%} of it is voiced "
            "as speech is)",
            "noise",
        )
