"""The front end of a whole signal: voice activity detection, periodicity and log-mel frames of what is speech."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.levels import SecondLevels
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, VadEvent
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.features.log_mel import FrameWindow, LogMelStream
from voxface.runtime.features.periodicity import PeriodicityMeter
from voxface.runtime.features.speech import Speech
from voxface.runtime.timing.stage_timer import StageTimer


class FrontEnd:
    """Finds the speech in one stream of int16 samples at 16 kHz and computes its features; make a new one for each stream."""

    def __init__(self, features: FrontEndConfig | None = None, vad: VadConfig | None = None) -> None:
        self._vad = VoiceActivityDetector(vad)
        self._mel = LogMelStream(features)
        self._voicing = PeriodicityMeter()
        self._periodic: list[NDArray[np.bool_]] = []
        self._levels = SecondLevels()
        self._frames: list[NDArray[np.float32]] = []
        self._segments: list[tuple[int, int]] = []
        self._voiced = 0
        self._timer = StageTimer()

    def feed(self, samples: NDArray[np.int16]) -> None:
        """Takes samples int16 [n]."""
        self._timer.begin()
        self._levels.feed(samples)
        self._handle(self._vad.feed(samples))

    def finish(self) -> Speech:
        """Ends the stream and returns its speech; `log_mel` is empty when there was none."""
        self._timer.begin()
        self._handle(self._vad.finish())
        if self._voiced:
            self._frames.append(self._mel.finish())
            self._timer.lap("features")
        empty = np.empty((0, self._mel.config.mels), np.float32)
        return Speech(
            samples=self._vad.position,
            segments=self._segments,
            voiced_samples=self._voiced,
            periodic=self._voicing.fraction,
            window=FrameWindow.whole(np.concatenate([empty, *self._frames])),
            front_end_ns=self._timer.drain(),
            periodic_frames=np.concatenate([np.empty(0, np.bool_), *self._periodic]),
            levels=self._levels.finish(),
        )

    def _handle(self, events: list[VadEvent]) -> None:
        audio = [event.samples for event in events if isinstance(event, SpeechAudio)]
        self._segments += [(event.start, event.end) for event in events if isinstance(event, SpeechEnded)]
        if not audio:
            self._timer.lap("vad")
            return
        voiced = np.concatenate(audio)
        self._voiced += len(voiced)
        self._periodic.append(self._voicing.feed(voiced))
        self._timer.lap("vad")
        self._frames.append(self._mel.feed(voiced))
        self._timer.lap("features")


def listen(
    blocks: Iterable[NDArray[np.int16]], features: FrontEndConfig | None = None, vad: VadConfig | None = None
) -> Speech:
    """The speech in a stream of int16 blocks at 16 kHz."""
    front_end = FrontEnd(features, vad)
    for block in blocks:
        front_end.feed(block)
    return front_end.finish()
