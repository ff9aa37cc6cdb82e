"""Streams with and without a change of speaker, and the differences between the two parts of each of their windows.

The speaker change detector is fitted to them and measured on them. They are recordings of two speakers, one after the other; a
recording alone; its two halves, the later first; and its two halves, the later one at another level and through an equaliser,
which stands for another microphone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechStarted
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.attributes import Attributes
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.speaker_change import BEFORE, NEWEST, Differences
from voxface.runtime.live.speaker_embedding import SpeakerEmbeddingNetwork
from voxface.training.data.sound_clips import read

Samples = NDArray[np.int16]
Float64 = NDArray[np.float64]
PART_S: Final = 5  # seconds of each half


class Spoken(Protocol):
    """A sound file of one speaker."""

    @property
    def speaker(self) -> str:
        """Id of the speaker."""

    @property
    def path(self) -> Path:
        """The file."""


class Stream(NamedTuple):
    """A stream, measured.

    Attributes:
        change: the sample at which the second speaker begins to speak; None if there is one speaker.
        rows: newest sample of each window, and its differences float64 [15], see `Differences`.
    """

    change: int | None
    rows: list[tuple[int, Float64]]


@dataclass(frozen=True)
class StubEstimate:
    """An estimate without a face: it has only what a live session needs of an estimate.

    Attributes:
        frame_embeddings: float32 [E, C].
        stages_ns: empty.
        image_reused: False, because there is no image.
        confidence: 1, so that no estimate is left out.
        attributes: none, and no child's.
    """

    frame_embeddings: NDArray[np.float32]
    stages_ns: dict[str, int] = field(default_factory=dict)
    image_reused: bool = False
    confidence: float = 1.0
    attributes: Attributes = field(default_factory=lambda: Attributes({}, "unknown", {}))

    def moved_mm(self, before: Any) -> float:
        """0, because there is no face."""
        return 0.0

    def with_stages(self, stages_ns: Mapping[str, int]) -> Self:
        """Itself; the times of its stages are of no use here."""
        return self


class DifferenceRecorder:
    """An estimator that makes no face, but records the differences between the two parts of every window."""

    speaker_change = None  # no change is acted on

    def __init__(self, face_estimator: FaceEstimator, network: SpeakerEmbeddingNetwork) -> None:
        """Takes the voice encoder of `face_estimator`, and the network that makes speaker embeddings."""
        self.speech_modulation = face_estimator.speech_modulation
        self._face_estimator, self._network = face_estimator, network
        self._blank = np.zeros((64, 8), np.float32)
        self._begin = 0
        self._differences = Differences(network)
        self._rows: list[tuple[int, Float64]] = []

    def record(self, samples: Samples, begin: int = 0) -> list[tuple[int, Float64]]:
        """The newest sample and the differences of every window of a stream that ends at sample `begin` or later."""
        self._begin, self._differences, self._rows = begin, Differences(self._network), []
        session = LiveSession(self, LiveConfig())
        session.feed(samples)
        session.finish()
        return self._rows

    def estimate(
        self, speech: Speech, before: Any = None, image_reuse_distance: float = 0.0, *, timer: Any = None
    ) -> Any:
        """Records the window's differences; windows that end before `begin` are not encoded, to save time."""
        end = speech.segments[-1][1]
        if end < self._begin or len(speech.log_mel) < NEWEST + BEFORE:
            return StubEstimate(self._blank)
        frame_embeddings = self._face_estimator.frame_embeddings(speech)
        if frame_embeddings.any():
            self._rows.append((end, self._differences.measure(speech, frame_embeddings)))
        return StubEstimate(frame_embeddings)


def changing(recorder: DifferenceRecorder, recordings: Sequence[Spoken], seed: int) -> list[Stream]:
    """Each recording followed by one of another speaker, in a random order."""
    rng = np.random.default_rng(seed)
    order = [recordings[k] for k in rng.permutation(len(recordings))]
    out: list[Stream] = []
    for one, other in zip(order, order[1:] + order[:1], strict=True):
        first, second = read(one.path)[-6 * SAMPLE_RATE :], read(other.path)[: 4 * SAMPLE_RATE]
        if one.speaker == other.speaker or len(first) < 4 * SAMPLE_RATE or len(second) < 3.5 * SAMPLE_RATE:
            continue
        at = len(first) + onset(second)
        out.append(Stream(at, recorder.record(np.concatenate([first, second]), at)))
    return out


def lasting(recorder: DifferenceRecorder, recordings: Sequence[Spoken]) -> list[Stream]:
    """Each recording alone, 10 s of it at most."""
    return [Stream(None, recorder.record(read(r.path)[: 10 * SAMPLE_RATE])) for r in recordings]


def swapped(recorder: DifferenceRecorder, recordings: Sequence[Spoken]) -> list[Stream]:
    """The end of each recording followed by its beginning: one speaker who pauses and starts anew."""
    out: list[Stream] = []
    for recording in recordings:
        later, earlier = _halves(recording)
        out.append(Stream(None, recorder.record(np.concatenate([later, earlier]))))
    return out


def moved(recorder: DifferenceRecorder, recordings: Sequence[Spoken], seed: int) -> list[Stream]:
    """As `swapped`, and the second half sounds as if the speaker had moved before the microphone."""
    rng = np.random.default_rng(seed)
    out: list[Stream] = []
    for recording in recordings:
        later, earlier = _halves(recording)
        out.append(Stream(None, recorder.record(np.concatenate([later, equalised(earlier, rng)]))))
    return out


def onset(samples: Samples) -> int:
    """The sample at which speech begins."""
    events = VoiceActivityDetector().feed(samples)
    return next((event.start for event in events if isinstance(event, SpeechStarted)), 0)


def equalised(samples: Samples, rng: np.random.Generator) -> Samples:
    """The samples through a smooth random equaliser (about 2.5 dB at each frequency), up to 4 dB louder or softer."""
    place = np.sqrt(np.arange(513) / 512)
    waves = sum(rng.normal() * size * np.cos(np.pi * k * place) for k, size in enumerate((1.5, 1.5, 1.0, 1.0), 1))
    response = np.fft.fftshift(np.fft.irfft(10 ** ((waves + rng.uniform(-4, 4)) / 20))) * np.hanning(1024)
    return np.clip(np.rint(np.convolve(samples.astype(float), response, "same")), -32768, 32767).astype(np.int16)


def _halves(recording: Spoken) -> tuple[Samples, Samples]:
    """The end and the beginning of a recording, 5 s of each at most."""
    sound = read(recording.path)
    half = min(len(sound) // 2, PART_S * SAMPLE_RATE)
    return sound[-half:], sound[:half]
