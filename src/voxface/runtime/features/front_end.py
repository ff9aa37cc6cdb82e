"""Samples in, speech and its log-mel frames out: VAD, voicing and features joined; feed it live or a whole file."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.vad import SAMPLE_RATE, SpeechAudio, SpeechEnded, VadConfig, VadEvent, VoiceActivityDetector
from voxface.runtime.features.log_mel import FrontEndConfig, LogMelStream
from voxface.runtime.features.periodicity import PeriodicityMeter
from voxface.runtime.features.speech_modulation import likeness


@dataclass(frozen=True)
class Speech:
    """What a front end heard.

    Attributes:
        samples: samples heard, at 16 kHz.
        segments: [start, end) of each speech segment, absolute sample indices.
        voiced_samples: how many samples the segments hold together.
        periodic: share of the speech that is periodic as voices are, 0 to 1.
        log_mel: float32 [T, mels] of the segments, concatenated, before normalisation.
        vad_ns, features_ns: time spent.
        first_frame: number of the first of the frames, counted over all speech of the stream.
        known_peaks, known_likeness: `peaks` and `likeness`, where they are known already.
    """

    samples: int
    segments: list[tuple[int, int]]
    voiced_samples: int
    periodic: float
    log_mel: NDArray[np.float32]
    vad_ns: int
    features_ns: int
    first_frame: int = 0
    known_peaks: NDArray[np.float32] | None = None
    known_likeness: float | None = None

    @cached_property
    def peaks(self) -> NDArray[np.float32]:
        """The highest mel bin of every frame, float32 [T]: how loud it is."""
        return self.log_mel.max(1) if self.known_peaks is None else self.known_peaks

    @cached_property
    def likeness(self) -> float:
        """How much it moves as speech does, 0 to 1, see `voxface.runtime.features.speech_modulation`; more than one asks."""
        return likeness(self.log_mel) if self.known_likeness is None else self.known_likeness

    @property
    def seconds(self) -> float:
        """Length of what was heard."""
        return self.samples / SAMPLE_RATE

    @property
    def voiced_seconds(self) -> float:
        """Length of the speech in it."""
        return self.voiced_samples / SAMPLE_RATE


class FrontEnd:
    """Feeds one stream of int16 samples at 16 kHz through VAD and features; use a new one for each stream."""

    def __init__(self, features: FrontEndConfig | None = None, vad: VadConfig | None = None) -> None:
        self._vad = VoiceActivityDetector(vad)
        self._mel = LogMelStream(features)
        self._voicing = PeriodicityMeter()
        self._frames: list[NDArray[np.float32]] = []
        self._segments: list[tuple[int, int]] = []
        self._voiced = 0
        self._vad_ns = 0
        self._features_ns = 0

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Takes int16 [n]."""
        began = time.perf_counter_ns()
        events = self._vad.feed(samples)
        self._vad_ns += time.perf_counter_ns() - began
        self._take(events)

    def finish(self) -> Speech:
        """Ends the stream and says what was heard; `log_mel` is empty when there was no speech."""
        self._take(self._vad.finish())
        if self._voiced:
            began = time.perf_counter_ns()
            self._frames.append(self._mel.finish())
            self._features_ns += time.perf_counter_ns() - began
        empty = np.empty((0, self._mel.config.mels), np.float32)
        return Speech(
            samples=self._vad.position,
            segments=self._segments,
            voiced_samples=self._voiced,
            periodic=self._voicing.fraction,
            log_mel=np.concatenate([empty, *self._frames]),
            vad_ns=self._vad_ns,
            features_ns=self._features_ns,
        )

    def _take(self, events: list[VadEvent]) -> None:
        audio = [event.samples for event in events if isinstance(event, SpeechAudio)]
        self._segments += [(event.start, event.end) for event in events if isinstance(event, SpeechEnded)]
        if not audio:
            return
        voiced = np.concatenate(audio)
        self._voiced += len(voiced)
        began = time.perf_counter_ns()
        self._voicing.feed(voiced)
        after_voicing = time.perf_counter_ns()
        self._frames.append(self._mel.feed(voiced))
        self._vad_ns += after_voicing - began
        self._features_ns += time.perf_counter_ns() - after_voicing


def listen(
    blocks: Iterable[NDArray[np.int16]], features: FrontEndConfig | None = None, vad: VadConfig | None = None
) -> Speech:
    """What a front end of its own hears in int16 blocks at 16 kHz."""
    front_end = FrontEnd(features, vad)
    for block in blocks:
        front_end.feed(block)
    return front_end.finish()
