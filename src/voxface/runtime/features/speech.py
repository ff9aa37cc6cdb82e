"""The speech of a stream or of a window of it, as features, and the check that there is any."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.periodicity import LEAST_PERIODIC
from voxface.runtime.features.speech_modulation import measurable_movement, modulation_score


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
    """

    samples: int
    segments: list[tuple[int, int]]
    voiced_samples: int
    periodic: float
    window: FrameWindow
    front_end_ns: Mapping[str, int] = field(default_factory=dict)
    known_peaks: NDArray[np.float32] | None = None
    known_movement: Movement | None = None

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


def check_speech(speech: Speech) -> None:
    """Raises NoSpeechError, with the reason, unless there is speech to make a face of."""
    if speech.samples == 0:
        raise NoSpeechError("no samples, so no speech")
    if not speech.voiced_samples:
        raise NoSpeechError(f"no speech found in {speech.seconds:.2f} s (silence, or too quiet for the VAD)")
    if speech.periodic < LEAST_PERIODIC:
        raise NoSpeechError(
            f"no speech found in {speech.seconds:.2f} s: there is sound, but only {speech.periodic:.0%} of it is "
            "voiced as speech is (noise?)"
        )
