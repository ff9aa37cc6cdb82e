"""Voice encoders that are compared on the same sound: a bundle's, Resemblyzer, and the mean spectrum, which anybody has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.inference.age import hear_age
from voxface.runtime.inference.attributes import read_attributes
from voxface.training.evaluation.result import Kind
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.voices.teacher import RESEMBLYZER, Teacher, load_teacher

Float32 = NDArray[np.float32]
Samples = NDArray[np.int16]
CHILD_YEARS: Final = 14  # of a voice that a bundle takes for a child's
_EVERY: Final = 80  # frames between the pieces that the teacher hears


class VoiceSystem(Protocol):
    """A voice encoder.

    Attributes:
        name: for the tables.
        kind: whose it is.
    """

    name: str
    kind: Kind

    def embed(self, pieces: Sequence[Samples]) -> Float32:
        """Embeddings [N, E] of speech, int16 [n] each at 16 kHz."""
        ...


@dataclass
class BundleVoices:
    """A bundle's voice encoder, and what its bundle tells of sex and age."""

    subject: BundleSubject
    name: str
    kind: Kind

    def embed(self, pieces: Sequence[Samples]) -> Float32:
        """See `VoiceSystem`."""
        return self.subject.embed(log_mel(samples, self.subject.bundle.front_end) for samples in pieces)

    def women(self, embeddings: Float32) -> NDArray[np.bool_]:
        """Whether the mesh that the bundle makes is a woman's, bool [N]."""
        bundle = self.subject.bundle
        rows = self.subject.coefficients_of(embeddings)
        return np.array([read_attributes(bundle.morphable, row, bundle.sex_slope).sex["female"] > 0.5 for row in rows])

    def years(self, embeddings: Float32) -> NDArray[np.float64] | None:
        """The age that the bundle tells, float64 [N]; 14 of what it takes for a child's voice; None where it tells no ages."""
        weights = self.subject.bundle.age
        if weights is None or weights.years is None:
            return None
        heard = [hear_age(weights, row) for row in embeddings]
        return np.array([CHILD_YEARS if one.age is None else one.age.years for one in heard], np.float64)


@dataclass
class TeacherVoices:
    """A public speaker encoder: the mean of its vectors of pieces of 1.6 s."""

    teacher: Teacher
    name: str
    kind: Kind = "baseline"

    def embed(self, pieces: Sequence[Samples]) -> Float32:
        """See `VoiceSystem`."""
        return np.stack([self.teacher.vectors(samples, _EVERY).mean(0) for samples in pieces])


@dataclass
class CentredVoices:
    """A voice encoder whose vectors are centred on their mean over other people, without which cosines of vectors that have no
    negative numbers are all high."""

    system: VoiceSystem
    centre: Float32
    name: str
    kind: Kind = "baseline"

    @classmethod
    def on(cls, system: VoiceSystem, others: Sequence[Samples]) -> "CentredVoices":
        """Centred on the speech of other people, int16 [n] each."""
        return cls(system, system.embed(others).mean(0), f"{system.name}, centred on training speakers")

    def embed(self, pieces: Sequence[Samples]) -> Float32:
        """See `VoiceSystem`."""
        centred: Float32 = self.system.embed(pieces) - self.centre
        return centred


@dataclass
class MeanSpectrum:
    """The mean log-mel spectrum of the speech, without its level: what is told without learning anything."""

    name: str = "mean spectrum of the speech"
    kind: Kind = "trivial"

    def embed(self, pieces: Sequence[Samples]) -> Float32:
        """See `VoiceSystem`."""
        rows = np.stack([log_mel(samples).mean(0) for samples in pieces])
        centred: Float32 = rows - rows.mean(1, keepdims=True)
        return centred


def resemblyzer() -> TeacherVoices:
    """Resemblyzer's encoder.

    Raises:
        ProviderError: its package is not installed; the message says how to install it.
    """
    teacher = load_teacher(RESEMBLYZER)
    return TeacherVoices(teacher, "Resemblyzer")
