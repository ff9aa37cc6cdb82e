"""The live session: a pure state machine that takes samples and returns events, without threads, devices or a clock.

Every decision is made at a frame of the VAD, which lies at a fixed place of the stream. So the events do not depend on how
the samples are split over calls, on the speed of the machine or on the time of day.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.levels import CLIPPED, Level, clipped
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechAudio, SpeechStarted, VadEvent
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speaker_change import SpeakerChangeWeights
from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.engines.steps import Steps, finished
from voxface.runtime.errors import NoFaceReason, NoPickleError
from voxface.runtime.features.speech import Speech
from voxface.runtime.features.speech_gate import RECENT, SpeechGate
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.incremental import IncrementalEstimator, Parts
from voxface.runtime.live.events import (
    EngineFailed,
    Event,
    FaceEstimated,
    NoFace,
    Skipped,
    SpeakerChanged,
    VoiceEnded,
    VoiceStarted,
)
from voxface.runtime.live.speaker_change import SpeakerChangeDetector
from voxface.runtime.live.speech_window import SpeechWindow
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.runtime.timing.trace import Trace

MOST_SKIPPED: Final = 5  # the most estimates left out in a row while the machine is too slow; the next one is made
CONVERGED_MM: Final = 0.5  # a mesh that moves by less is steady
LEVEL_SAMPLES: Final = SAMPLE_RATE  # the level is judged over whole seconds
_NONE: Final = np.empty(0, np.int16)
_INT16: Final = np.dtype(np.int16)  # compared with a dtype in a tenth of the time of a type


class Estimator(Protocol):
    """A maker of faces from speech: `voxface.runtime.inference.face_estimator.FaceEstimator`, or a stand-in.

    It has the trained parts that fit its voice encoder and its features. Without weights of the speech modulation, music is not
    refused; without those of the speaker change detector, no change of speaker is looked for.
    """

    @property
    def speech_modulation(self) -> SpeechModulationWeights | None:
        """The weights that tell speech from music and noise."""
        ...

    @property
    def speaker_change(self) -> SpeakerChangeWeights | None:
        """The weights of the speaker change detector."""
        ...

    def estimate(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Estimate:
        """The face of a window of speech.

        Args:
            before: the estimate before, of the same speaker.
            image_reuse_distance: the distance between embeddings up to which the image of `before` may be kept.
            timer: the timer of the update; gets the estimator's stages.
        """
        ...


@runtime_checkable
class StepwiseEstimator(Protocol):
    """An estimator that can also say which runs of its engines it needs, instead of running them."""

    def estimate_steps(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Steps[Estimate]:
        """The face of a window of speech, as `Estimator.estimate` makes it."""
        ...


class Detector(Protocol):
    """A voice activity detector: `voxface.runtime.audio.vad.VoiceActivityDetector`, or another with the same events.

    Attributes:
        position: absolute index of the next sample to be fed.
    """

    position: int

    def feed(self, samples: NDArray[np.int16]) -> list[VadEvent]:
        """Takes samples int16 [n] at 16 kHz; returns the events that they complete."""
        ...

    def finish(self) -> list[VadEvent]:
        """Ends the input; returns the last events."""
        ...


class LiveSession:
    """A session over one stream: `feed` takes samples and returns events. Not thread-safe.

    Attributes:
        config: the settings.
        reason: why there is no face now; None while there is one.
        trace: gets every stage as a span; None: there is no trace.
    """

    def __init__(
        self,
        estimator: Estimator,
        config: LiveConfig | None = None,
        *,
        features: FrontEndConfig | None = None,
        vad: VadConfig | None = None,
        detector: Callable[[], Detector] | None = None,
        start: int = 0,
        skips: frozenset[int] | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Begins at absolute sample `start`.

        Args:
            estimator: makes the faces; in mode "incremental" one that can be asked for them in two steps.
            config: the settings; None: the defaults.
            features, vad: settings of the bundle's front end; None: the defaults.
            detector: makes a voice activity detector, at the start and after each loss of samples; None: WebRTC's.
            skips: positions of the estimates to leave out, from a recording; None: `feed` decides.
            trace: gets every stage as a span; the estimator needs the same trace.
        """
        self.config = config or LiveConfig()
        self._estimator: Estimator | IncrementalEstimator = estimator
        self._incremental: IncrementalEstimator | None = None
        if self.config.mode == "incremental":
            if not isinstance(estimator, Parts):
                raise TypeError(f"mode 'incremental' needs an estimator with `encoder` and `decode`, not {estimator!r}")
            self._estimator = self._incremental = IncrementalEstimator(estimator)
        self._features = features or FrontEndConfig()
        self._vad_config = vad or VadConfig()
        self._frame = self._vad_config.frame
        # Not a function of this session's: in a circle with it the session would outlive its last user.
        self._new_detector = detector or partial(VoiceActivityDetector, self._vad_config)
        self._skips = skips
        self._in_steps = False
        self._stepwise = self._estimator if isinstance(self._estimator, StepwiseEstimator) else None
        self._vad = self._detector_at(start)
        self._held = _NONE
        self._last_hop: list[NDArray[np.int16]] = []
        self._this_hop: list[NDArray[np.int16]] = []
        self._this_second: list[NDArray[np.int16]] = []
        self._window = SpeechWindow(self._features, self.config.window)
        self._image_reuse_distance = self.config.image_reuse_limit
        self._gate = SpeechGate(estimator.speech_modulation)
        weights = estimator.speaker_change if self.config.detect_speaker_change else None
        self._change_detector = None if weights is None else SpeakerChangeDetector(weights)
        self._speaker = 1
        self._due = self.config.first  # speech, in samples since the stream began
        self._estimated = -1  # speech in the last estimate
        self._turn: tuple[int, int | None] | None = None  # start, and end unless speech goes on
        self._last: Estimate | None = None
        self._steady = 0
        self._skipped = 0
        self._second_start, self._second_voiced = start, 0
        self._clipping = False
        self.trace = trace
        self._own_timer = self._timer = StageTimer(trace)
        self._heard = start  # samples judged; fewer than a frame may wait beyond them
        self.reason: NoFaceReason | None = None

    def __reduce__(self) -> NoReturn:
        raise NoPickleError(
            "a LiveSession uses the engines of its process and cannot be pickled or copied; send its events"
        )

    @property
    def position(self) -> int:
        """Absolute index of the next sample to be fed."""
        return self._heard + len(self._held)

    @property
    def level(self) -> Level:
        """The level of the newest whole hop. Measured on demand; may be called from any thread."""
        return Level.from_samples(_joined(self._last_hop))

    @property
    def speaking(self) -> bool:
        """Whether a turn of speech is open; pauses up to the hangover belong to it."""
        return self._turn is not None

    def feed(self, samples: NDArray[np.int16], *, behind: bool = False, timer: StageTimer | None = None) -> list[Event]:
        """Takes samples int16 [n] at 16 kHz, n ≥ 0; returns the events in order.

        Args:
            behind: more than one hop of sound is waiting, so estimates may be left out, a few in a row.
            timer: the timer of the update, for a caller with stages of its own, the same in each call; None: the session's own.
        """
        return finished(self._feed(samples, behind, timer, in_steps=False))

    def feed_steps(
        self, samples: NDArray[np.int16], *, behind: bool = False, timer: StageTimer | None = None
    ) -> Steps[list[Event]]:
        """The same in steps, so that runs of engines can be put together with those of other sessions
        (`voxface.runtime.live.stream_pool`). Nothing else may be done with the session until they are carried out."""
        return self._feed(samples, behind, timer, in_steps=True)

    def _feed(
        self, samples: NDArray[np.int16], behind: bool, timer: StageTimer | None, *, in_steps: bool
    ) -> Steps[list[Event]]:
        if samples.dtype != _INT16 or samples.ndim != 1:
            raise ValueError(f"expected int16 [n], not {samples.dtype} {list(samples.shape)}")
        events: list[Event] = []
        self._in_steps = in_steps
        self._timer = timer or self._own_timer
        self._timer.begin()
        audio = np.concatenate([self._held, samples]) if len(self._held) else samples.copy()  # what is kept is our own
        whole = len(audio) // self._frame * self._frame
        for at in range(0, whole, self._frame):
            frame = audio[at : at + self._frame]
            self._hear(frame)
            for event in self._vad.feed(frame):
                if self._handle(event, events):
                    yield from self._estimate_or_skip(behind, events)
            if (turn := self._turn) is not None and turn[1] is not None:
                self._end_turn(turn[0], turn[1], events)
            if self._heard - self._second_start >= LEVEL_SAMPLES:
                self._judge_second(events)
        self._held = audio[whole:].copy() if whole < len(audio) else _NONE
        self._timer.lap("vad")
        if self._turn is None:
            self._timer.drain()  # listening to a pause is no part of an estimate
        return events

    def lose(self, end: int, *, timer: StageTimer | None = None) -> list[Event]:
        """Goes on at absolute sample `end`, since the samples before it are lost; ends an open turn. `timer`: see `feed`."""
        if end < self.position:
            raise ValueError(f"sample {end} has been heard already; {self.position} is next")
        events = finished(self._close(timer, final=False))
        self._vad = self._detector_at(end)
        self._heard = end
        self._second_start, self._second_voiced, self._this_second = end, 0, []
        self._clipping = False
        return events

    def finish(self, *, timer: StageTimer | None = None) -> list[Event]:
        """Ends the stream: makes the last estimate and ends an open turn. `timer`: see `feed`."""
        return finished(self._close(timer, final=True))

    # -- steps -----------------------------------------------------------------------------------------------------------

    def _close(self, timer: StageTimer | None, *, final: bool) -> Steps[list[Event]]:
        self._in_steps = False
        self._timer = timer or self._own_timer
        self._timer.begin()
        events: list[Event] = []
        found: list[VadEvent] = []
        if len(self._held):
            self._hear(self._held)
            found += self._vad.feed(self._held)
            self._held = _NONE
        for event in found + self._vad.finish():
            if self._handle(event, events):
                yield from self._estimate_or_skip(False, events)
        fresh = self._window.voiced - self._window.origin
        if final and fresh >= self.config.first and self._window.voiced > self._estimated:
            yield from self._estimate(events)
        elif final and fresh and self._last is None and self.reason is None:
            self._no_face("too little speech", self._second_start, events)
        if self._turn is not None:
            start, end = self._turn
            events.append(VoiceEnded(start, self._heard if end is None else end))
            self._turn = None
        return events

    def _hear(self, samples: NDArray[np.int16]) -> None:
        self._heard += len(samples)
        self._this_hop.append(samples)
        self._this_second.append(samples)
        if self._heard // self.config.hop != (self._heard - len(samples)) // self.config.hop:
            self._last_hop, self._this_hop = self._this_hop, []

    def _handle(self, event: VadEvent, events: list[Event]) -> bool:
        """Takes what the detector says; returns whether an estimate is due."""
        if isinstance(event, SpeechAudio):
            self._window.add(event.start, event.samples)
            self._second_voiced += len(event.samples)
            if self._window.voiced >= self._due:
                while self._due <= self._window.voiced:
                    self._due += self.config.hop
                return True
        elif isinstance(event, SpeechStarted):
            if self._turn is None:
                events.append(VoiceStarted(event.start))
                self._turn = (event.start, None)
            else:
                self._turn = (self._turn[0], None)
        elif self._turn is not None:
            self._turn = (self._turn[0], event.end)
        return False

    def _end_turn(self, start: int, end: int, events: list[Event]) -> None:
        """Ends the open turn, of which no speech is heard since `end`, after the hangover."""
        if self._heard - end > self.config.hangover + 2 * self._frame:
            events.append(VoiceEnded(start, end))
            self._turn = None

    def _judge_second(self, events: list[Event]) -> None:
        samples = _joined(self._this_second)
        self._clipping = clipped(samples) > CLIPPED
        if not self._second_voiced:
            self._no_face(Level.from_samples(samples).reason(), self._second_start, events)
        self._second_start, self._second_voiced, self._this_second = self._heard, 0, []

    # -- estimates -------------------------------------------------------------------------------------------------------

    def _estimate_or_skip(self, behind: bool, events: list[Event]) -> Steps[None]:
        skip = self._heard in self._skips if self._skips is not None else behind and self._skipped < MOST_SKIPPED
        if skip:
            self._skipped += 1
            events.append(Skipped(self._heard))
            return
        self._skipped = 0
        yield from self._estimate(events)

    def _estimate(self, events: list[Event]) -> Steps[None]:
        timer = self._timer
        timer.lap("vad")
        speech = self._speech()
        refusal = self._refusal(speech)
        if refusal in ("music", "noise") and self._gate.begins_anew(speech):
            self._restart(self._window.voiced - RECENT * self._features.hop)
            speech = self._speech()
            refusal = self._refusal(speech)
        if refusal is not None:
            self._no_face(refusal, speech.segments[0][0], events)
            timer.lap("gate")
            timer.drain()  # there is no estimate to have these times
            return
        timer.lap("gate")
        try:
            if self._in_steps and self._stepwise is not None:
                estimate = yield from self._stepwise.estimate_steps(
                    speech, self._last, self._image_reuse_distance, timer=timer
                )
            else:
                estimate = self._estimator.estimate(speech, self._last, self._image_reuse_distance, timer=timer)
            change = self._change_detector.judge(speech, estimate.frame_embeddings) if self._change_detector else None
        except Exception as error:  # an engine may raise anything; the next hop tries again, the caller counts
            events.append(EngineFailed(self._heard, f"{type(error).__name__}: {error}"))
            timer.begin()
            timer.drain()
            return
        if change is not None:
            self._change_speaker(speech, change.voiced, change.score, events)
            timer.lap("watch")
            if self._window.voiced - self._window.origin >= self.config.first:
                yield from self._estimate(
                    events
                )  # the new speaker's sound is judged like any window: it may be no speech
            else:
                timer.drain()  # there is no estimate to have these times
            return
        if estimate.confidence < self.config.min_confidence:
            self._no_face("confidence", speech.segments[0][0], events)
            timer.lap("watch")
            timer.drain()  # there is no estimate to have these times
            return
        if estimate.attributes.is_child and not self.config.any_age:
            self._no_face("child", speech.segments[0][0], events)
            timer.lap("watch")
            timer.drain()  # there is no estimate to have these times
            return
        moved = estimate.moved_mm(self._last) if self._last is not None else None
        self._steady = self._steady + 1 if moved is not None and moved < CONVERGED_MM else 0
        timer.lap("watch")
        estimate = estimate.with_stages(timer.drain())
        self._last = estimate
        self._estimated = self._window.voiced
        self.reason = None
        converged = self._steady * self.config.hop >= SAMPLE_RATE
        events.append(FaceEstimated(self._heard, self._speaker, moved, converged, estimate))

    def _refusal(self, speech: Speech) -> NoFaceReason | None:
        if self._clipping:
            return "clipping"
        return self._gate.refuse(speech)

    def _speech(self) -> Speech:
        speech = self._window.speech(self._heard)
        self._timer.lap("features")
        return speech

    def _restart(self, voiced: int) -> int:
        """Forgets the speech before place `voiced` of the window; returns the absolute sample at which the rest begins."""
        start = self._window.restart(voiced)
        if self._incremental:
            self._incremental.restart()
        self._due = max(self._window.origin + self.config.first, self._window.voiced + self.config.hop)
        return start

    def _change_speaker(self, speech: Speech, voiced: int, score: float, events: list[Event]) -> None:
        """Starts the window of a new speaker, after `voiced` samples of the window's speech."""
        start = self._restart(self._window.voiced - speech.voiced_samples + voiced)
        self._speaker += 1
        self._last = None
        self._steady = 0
        if self._change_detector:
            self._change_detector.restart()
        self._gate.restart()
        events.append(SpeakerChanged(start, self._heard, self._speaker, score))

    def _no_face(self, reason: NoFaceReason, start: int, events: list[Event]) -> None:
        if reason != self.reason:
            self.reason = reason
            events.append(NoFace(start, self._heard, reason))

    def _detector_at(self, start: int) -> Detector:
        detector = self._new_detector()
        detector.position = start
        return detector


def _joined(parts: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    return np.concatenate(parts) if parts else _NONE
