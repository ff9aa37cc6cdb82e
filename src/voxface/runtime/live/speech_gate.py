"""Whether what a VAD let through is speech at all: music and much noise pass a VAD, and must not get a face."""

from typing import Final

from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.features.periodicity import LEAST_PERIODIC
from voxface.runtime.features.speech import Speech
from voxface.runtime.features.speech_modulation import speech_modulation
from voxface.runtime.live.events import NoFaceReason

# Likeness to speech (`features.speech_modulation`) at which a face is first made, and below which it is no longer: set on
# LibriSpeech's training speakers at 10 dB in synthetic noise and on synthetic music, see benchmarks/no_face.py.
ENTER: Final = 0.8
LEAVE: Final = 0.3
RECENT: Final = 200  # frames, 2 s: the shortest speech that ends a refusal while older sound still fills the window
RECENT_ENTER: Final = 0.97


class SpeechGate:
    """Judges windows of one stream in turn; what has passed once need not be as sure again."""

    def __init__(self, speech_modulation: SpeechModulationWeights | None) -> None:
        """Takes the bundle's weights; without them noise is refused but music is not."""
        self._weights = speech_modulation
        self._passed = False

    def restart(self) -> None:
        """Another voice: nothing has passed yet."""
        self._passed = False

    def refuse(self, speech: Speech) -> NoFaceReason | None:
        """Why a window gets no face; None where it gets one."""
        if speech.periodic < LEAST_PERIODIC:
            self._passed = False
            return "noise"
        least = LEAVE if self._passed else ENTER
        self._passed = self._weights is None or speech.speech_modulation(self._weights) >= least
        return None if self._passed else "music"

    def begins_anew(self, speech: Speech) -> bool:
        """Whether the newest part of a refused window is speech, so that what came before is to be forgotten."""
        if self._weights is None or len(speech.log_mel) < 2 * RECENT:
            return False
        return speech_modulation(speech.log_mel[-RECENT:], self._weights) >= RECENT_ENTER
