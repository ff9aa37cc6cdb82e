"""The speech gate refuses sound that is not speech: music and much noise pass a VAD, but must not get a face.

A live session judges its windows in turn (`SpeechGate`). A whole sound, of a file or an array, is judged by the same gate over
the same windows (`speech_in`), so that a file in which music comes before or after speech is heard, as live.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.levels import CLIPPED
from voxface.runtime.config.front_end import PROVISIONAL, STRIDE
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.errors import NoFaceReason
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.periodicity import LEAST_PERIODIC
from voxface.runtime.features.speech import HOP, JUDGED, Speech, check_speech, no_speech, quiet_reason
from voxface.runtime.features.speech_modulation import SHORTEST, RunningSpeechModulation, speech_modulation

# Speech modulation (`features.speech_modulation`) from which a first face is made, and below which no further face is made: set
# on LibriSpeech's training speakers at 10 dB in synthetic noise and on synthetic music, see benchmarks/no_face.py.
ENTER: Final = 0.8
LEAVE: Final = 0.3
RECENT: Final = 200  # frames, 2 s: speech of this length ends a refusal although older sound still fills the window
RECENT_ENTER: Final = 0.97
LEAST: Final = 2 * STRIDE  # frames: two frame embeddings, since a single one cannot agree with another (`confidence`)
_LIVE: Final = LiveConfig()
FIRST, DUE, WINDOW = (length // HOP for length in (_LIVE.first, _LIVE.hop, _LIVE.window))  # frames


class SpeechGate:
    """Judges the windows of one stream in turn. Once a window has passed, the next ones pass at a lower speech modulation."""

    def __init__(self, speech_modulation: SpeechModulationWeights | None, *, passed: bool = False) -> None:
        """Takes the bundle's weights; without them noise is refused but music is not. `passed`: a window has passed before."""
        self._weights = speech_modulation
        self._passed = passed

    def restart(self) -> None:
        """Starts over for another voice: no window has passed yet."""
        self._passed = False

    def refuse(self, speech: Speech) -> NoFaceReason | None:
        """The reason why a window gets no face; None if it gets one."""
        if speech.periodic < LEAST_PERIODIC:
            self._passed = False
            return "noise"
        least = LEAVE if self._passed else ENTER
        self._passed = self._weights is None or speech.speech_modulation(self._weights) >= least
        return None if self._passed else "music"

    def begins_anew(self, speech: Speech) -> bool:
        """Whether the newest part of a refused window is speech, so that the sound before it should be forgotten."""
        if self._weights is None or len(speech.log_mel) < 2 * RECENT:
            return False
        return speech_modulation(speech.log_mel[-RECENT:], self._weights) >= RECENT_ENTER


def speech_in(speech: Speech, weights: SpeechModulationWeights | None) -> Speech:
    """What is speech in a whole sound: all that the front end kept, or where that is no speech as a whole, the parts that are.

    A sound passes if a live session with the default settings would make a face at some moment of it. Where there is less than
    a second of speech, for which a live session waits, 0.64 s or more of it are judged as one window.

    Args:
        speech: what the front end heard in the sound.
        weights: the bundle's weights of the speech modulation; without them noise is refused but music is not.

    Raises:
        NoSpeechError: nothing passes; `reason` is the one given most often.
    """
    if not speech.voiced_samples:
        check_speech(speech)
    if len(speech.log_mel) < LEAST:
        blip = len(speech.log_mel) < SHORTEST  # which a VAD hears in silence and in noise too
        raise no_speech(speech.seconds, (quiet_reason(speech) if blip else None) or "too little speech")
    if not any(level.clipped > CLIPPED for level in speech.levels) and SpeechGate(weights).refuse(speech) is None:
        return speech
    judged = list(_windows(speech, weights))
    reasons = [each.reason for each in judged if each.reason is not None]
    if len(reasons) == len(judged):
        raise no_speech(speech.seconds, Counter(reasons).most_common(1)[0][0])
    if len(speech.log_mel) < WINDOW + STRIDE and SpeechGate(weights, passed=True).refuse(speech) is None:
        return speech  # a live session's window would hold all of it
    return speech.part(_speech_frames(speech, weights, [(each.first, each.end) for each in judged if each.enters]))


def _speech_frames(
    speech: Speech, weights: SpeechModulationWeights | None, windows: list[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Which frames, bool [T], are speech: those of these windows that are in a stretch of 2 s which would pass by itself. A
    window holds 8 s, so at its edges it may hold other sound."""
    whole, close = np.zeros(len(speech.log_mel), np.bool_), np.zeros(len(speech.log_mel), np.bool_)
    for first, end in windows:
        whole[first:end] = True
    running = RunningSpeechModulation()
    for first in range(0, max(1, len(whole) - RECENT + 1), STRIDE):
        end = first + RECENT
        if whole[first:end].all() and SpeechGate(weights).refuse(_window(speech, first, end, running)) is None:
            close[first:end] = True
    return close if np.count_nonzero(close) >= RECENT else whole


class _Judged(NamedTuple):
    """A window, the frames [first, end) of a sound: why it gets no face, and whether it would if it were the first."""

    first: int
    end: int
    reason: NoFaceReason | None
    enters: bool


def _windows(speech: Speech, weights: SpeechModulationWeights | None) -> Iterator[_Judged]:
    """The windows of a live session over a whole sound, judged in turn."""
    gate, running, origin, total = SpeechGate(weights), RunningSpeechModulation(), 0, len(speech.log_mel)
    for end in [*range(FIRST + 1, total, DUE), total]:
        first = origin + max(0, end - origin - WINDOW) // STRIDE * STRIDE
        if _clips(speech, end):
            yield _Judged(first, end, "clipping", False)
            continue
        window = _window(speech, first, end, running)
        reason = gate.refuse(window)
        if reason is not None and gate.begins_anew(window):
            origin = first = end - RECENT
            window = _window(speech, first, end, running)
            reason = gate.refuse(window)
        yield _Judged(first, end, reason, reason is None and SpeechGate(weights).refuse(window) is None)


def _window(speech: Speech, first: int, end: int, running: RunningSpeechModulation) -> Speech:
    frames = FrameWindow(first, speech.log_mel[first:end], max(0, end - first - PROVISIONAL))
    periodic = speech.periodic_frames
    voiced = periodic[first // JUDGED : end // JUDGED] if periodic is not None else ()
    return replace(
        speech,
        periodic=float(np.count_nonzero(voiced)) / len(voiced) if len(voiced) else speech.periodic,
        window=frames,
        known_peaks=None,
        known_movement=running.measure(frames),
    )


def _clips(speech: Speech, end: int) -> bool:
    """Whether the newest whole second of the sound before the end of a frame is clipped."""
    second = speech.position(end) // SAMPLE_RATE - 1
    return 0 <= second < len(speech.levels) and speech.levels[second].clipped > CLIPPED
