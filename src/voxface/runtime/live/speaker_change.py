"""The speaker change detector compares the newest speech of the window with the speech before it.

It combines three kinds of evidence, none of which is enough alone. The bundle's voice encoder sees features normalised over
the window, which holds both voices. The detector's own network (`live.speaker_embedding`) sees each part separately. The mean
spectrum of the loud frames depends on the room and the microphone as well.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.speaker_change import SpeakerChangeWeights
from voxface.runtime.features.speech import Speech
from voxface.runtime.live.speaker_embedding import RunningSpeakerEmbedding, SpeakerEmbeddingNetwork

Float32 = NDArray[np.float32]
HOP: Final = 160  # samples from frame to frame
NEWEST: Final = 150  # frames of the newest speech, 1.5 s
BEFORE: Final = 250  # frames needed before them
COMPARED: Final = 400  # the most frames before them that the network sees, which bounds its cost
LOUD: Final = 5.0  # frames fainter than the loudest tenth by this natural logarithm of power are background
STEADY: Final = 2  # estimates in a row that must show the change


@dataclass(frozen=True)
class Change:
    """A change to another speaker.

    Attributes:
        voiced: samples of speech in the window before those of the new speaker.
        score: the evidence above the threshold; greater than 0.
    """

    voiced: int
    score: float


class SpeakerChangeDetector:
    """Judges the windows of one stream in turn."""

    def __init__(self, weights: SpeakerChangeWeights) -> None:
        """`weights` are the bundle's, see `Bundle.speaker_change`."""
        self._weights = weights
        self._differences = Differences(SpeakerEmbeddingNetwork(weights.layers))
        self._agreed = 0

    def restart(self) -> None:
        """Starts over for the window of another speaker."""
        self._agreed = 0

    def judge(self, speech: Speech, frame_embeddings: Float32) -> Change | None:
        """Compares the two parts of a window; `frame_embeddings`: those of the window, float32 [E, C]."""
        if len(speech.log_mel) < NEWEST + BEFORE:
            self._agreed = 0
            return None
        found = evidence(self._differences.measure(speech, frame_embeddings), self._weights) - self._weights.threshold
        self._agreed = self._agreed + 1 if found > 0 else 0
        if self._agreed < STEADY:
            return None
        # The speech since the first of the agreeing estimates is the new speaker's too.
        return Change(max(0, speech.voiced_samples - NEWEST * HOP), found)


class Differences:
    """Differences between the newest 1.5 s of a window and the rest, for the windows of one stream in turn."""

    def __init__(self, speaker_embedding: SpeakerEmbeddingNetwork) -> None:
        """`speaker_embedding`: the network that compares voices."""
        self._voices = RunningSpeakerEmbedding(speaker_embedding)
        self._mels = speaker_embedding.mels

    def measure(self, speech: Speech, frame_embeddings: Float32) -> NDArray[np.float64]:
        """The differences float64 [15], in the order of the weights.

        Args:
            speech: a window of at least `NEWEST` + `BEFORE` frames.
            frame_embeddings: those of the window, float32 [E, C].
        """
        log_mel = speech.log_mel
        sides = frame_embeddings @ _sides(frame_embeddings.shape[1])
        (one, together), (_, other) = (sides.T @ sides).tolist()
        cosine = together / (math.sqrt(one * other) + 1e-12)
        # For a bundle with another front end the network cannot be used: no disagreement counts against a change.
        known = log_mel.shape[1] == self._mels
        voices = self._voices.disagreement(speech.window, NEWEST, COMPARED) if known else 0.0
        loud, new_loud, apart = _spectra(log_mel, speech.peaks)
        found = np.empty(15)
        found[:3] = 1 - cosine, voices, min(abs(new_loud - loud), 3.0)
        np.abs(_cosines(log_mel.shape[1]) @ apart, out=found[3:])
        return found


def evidence(found: NDArray[np.float64], weights: SpeakerChangeWeights) -> float:
    """The logarithm of the odds that differences float64 [15] come from another speaker."""
    return weights.bias + float(weights.of_differences @ found)


@lru_cache(maxsize=4)
def _cosines(mels: int) -> NDArray[np.float64]:
    """The vectors float64 [12, mels] that give cepstra 1 to 12 of a spectrum."""
    place = (np.arange(mels) + 0.5) / mels
    waves: NDArray[np.float64] = np.sqrt(2 / mels) * np.cos(np.pi * np.arange(1, 13)[:, None] * place)
    return waves


@lru_cache(maxsize=256)
def _sides(frame_embeddings: int) -> Float32:
    """Which of so many frame embeddings lie before the newest speech, and which in it: float32 [C, 2] of ones and zeros."""
    newest = np.arange(frame_embeddings) >= frame_embeddings - round(NEWEST / STRIDE)
    return np.stack([~newest, newest], 1).astype(np.float32)


def _spectra(log_mel: Float32, peaks: Float32) -> tuple[float, float, Float32]:
    """Loudness of the loudest tenth of the frames before the newest speech, and of the newest speech; and the mean of the loud
    frames of the newest speech minus the mean of those before, float32 [mels]."""
    shares = np.empty(len(peaks), np.float32)  # what each frame counts for in that difference
    loud = []
    for part, sign in ((slice(-NEWEST), -1.0), (slice(-NEWEST, None), 1.0)):
        own = peaks[part]
        ordered, tenth = own.copy(), len(own) * 9 // 10
        ordered.partition(tenth)
        loud.append(ordered.item(tenth))
        counts = own > loud[-1] - LOUD
        np.multiply(counts, np.float32(sign / counts.tobytes().count(1)), out=shares[part])
    return loud[0], loud[1], shares @ log_mel
