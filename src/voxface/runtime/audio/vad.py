"""Voice activity detection: a pure state machine that takes samples and returns events.

The rules are those of the `wen2019` front end: WebRTC's VAD judges frames of 20 ms; two voiced frames in a row open a segment,
and two unvoiced ones close it. Its peculiarities change which samples are kept, so published weights need them reproduced:

* the VAD keeps state, and at every step every frame in the ring is judged again, oldest first: most frames are judged twice,
  and the order and number of the calls matter;
* a frame is judged only once at least one further sample has arrived, so an exactly fitting last frame is never judged;
* the frames that close a segment stay in it.
"""

from collections import deque
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, SpeechStarted, VadEvent
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.vad import VadConfig

SILENT: Final = 26.0  # RMS of a silent room, at int16 scale: -62 dB of full scale
OFFSET: Final = 32.0  # an offset is so many times the rest of the sound
_INT16: Final = np.dtype(np.int16)  # compared with a dtype in a tenth of the time of a type


class SpeechJudge(Protocol):
    """Decides whether a frame is speech; it may keep state between calls."""

    def is_speech(self, frame: bytes, sample_rate: int) -> bool:
        """Whether a frame of mono 16-bit PCM is speech."""
        ...


class WebRtcJudge:
    """WebRTC's VAD, the same as `webrtcvad.Vad`.

    That module is not imported: it looks up its own version first, which takes a tenth of the time to a first face.
    """

    def __init__(self, mode: int) -> None:
        import _webrtcvad

        self._process, self._state = _webrtcvad.process, _webrtcvad.create()
        _webrtcvad.init(self._state)
        _webrtcvad.set_mode(self._state, mode)

    def is_speech(self, frame: bytes, sample_rate: int) -> bool:
        """Whether a frame of mono 16-bit PCM of 10, 20 or 30 ms is speech."""
        return bool(self._process(self._state, sample_rate, frame, len(frame) // 2))


class VoiceActivityDetector:
    """Cuts a stream of int16 samples at 16 kHz into speech segments.

    The events are the same however the samples are split over calls of `feed`.

    Attributes:
        position: absolute index of the next sample to be fed.
    """

    def __init__(self, config: VadConfig | None = None, judge: SpeechJudge | None = None) -> None:
        """Starts at sample 0 with a fresh WebRTC VAD, or with `judge` in its place."""
        self.config = config or VadConfig()
        if judge is None:
            judge = WebRtcJudge(self.config.mode)
        self._judge: SpeechJudge = judge
        self._pending = b""  # at most one frame: a frame waits for the sample after it
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=self.config.ring)
        self._start: int | None = None
        self.position = 0

    def feed(self, samples: NDArray[np.int16]) -> list[VadEvent]:
        """Takes any number of samples, int16 [n]; returns the events that they complete, in order."""
        if samples.dtype != _INT16 or samples.ndim != 1:
            raise ValueError(f"expected int16 [n], not {samples.dtype} {list(samples.shape)}")
        data = self._pending + samples.tobytes()
        frame = self.config.frame
        start, size, at = self.position - len(self._pending) // 2, 2 * frame, 0
        self.position += len(samples)
        events: list[VadEvent] = []
        while len(data) - at > size:
            self._step(start, data[at : at + size], events)
            start, at = start + frame, at + size
        self._pending = data[at:]
        return events

    def finish(self) -> list[VadEvent]:
        """Ends the input and closes an open segment. Samples that never filled a frame are not speech."""
        if self._start is None:
            return []
        ended = SpeechEnded(self._start, self.position - len(self._pending) // 2)
        self._start = None
        self._ring.clear()
        return [ended]

    def _step(self, start: int, frame: bytes, events: list[VadEvent]) -> None:
        self._ring.append((start, frame))
        judge = self._judge.is_speech
        voiced = [judge(held, SAMPLE_RATE) for _, held in self._ring]
        full = len(voiced) == self.config.ring
        if self._start is None:
            if full and all(voiced) and not _is_offset([frame for _, frame in self._ring]):
                first = self._ring[0][0]
                self._start = first
                held = np.frombuffer(b"".join(data for _, data in self._ring), np.int16)
                events += [SpeechStarted(first), SpeechAudio(first, held)]
                self._ring.clear()
        else:
            events.append(SpeechAudio(start, np.frombuffer(frame, _INT16)))
            if full and not any(voiced):
                events.append(SpeechEnded(self._start, start + self.config.frame))
                self._start = None
                self._ring.clear()


def _is_offset(frames: list[bytes]) -> bool:
    """Whether frames are only a constant offset, as of a dead microphone; a VAD takes its first step for sound."""
    sound = np.frombuffer(b"".join(frames), np.int16).astype(np.float64)
    offset, rest = abs(float(sound.mean())), float(sound.std())
    return rest < SILENT and offset > OFFSET * max(rest, 1.0)
