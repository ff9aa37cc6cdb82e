"""The speech gate refuses windows that are not speech: music and much noise pass a VAD, but must not get a face."""

from typing import Final

from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.features.periodicity import LEAST_PERIODIC
from voxface.runtime.features.speech import Speech
from voxface.runtime.features.speech_modulation import speech_modulation
from voxface.runtime.live.events import NoFaceReason

# Speech modulation (`features.speech_modulation`) from which a first face is made, and below which no further face is made: set
# on LibriSpeech's training speakers at 10 dB in synthetic noise and on synthetic music, see benchmarks/no_face.py.
ENTER: Final = 0.8
LEAVE: Final = 0.3
RECENT: Final = 200  # frames, 2 s: speech of this length ends a refusal although older sound still fills the window
RECENT_ENTER: Final = 0.97


class SpeechGate:
    """Judges the windows of one stream in turn. Once a window has passed, the next ones pass at a lower speech modulation."""

    def __init__(self, speech_modulation: SpeechModulationWeights | None) -> None:
        """Takes the bundle's weights; without them noise is refused but music is not."""
        self._weights = speech_modulation
        self._passed = False

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
