"""What voxface says about a voice: the face, the mesh, and how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.inference.attributes import Attributes

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Estimate:
    """One face from one stretch of voice.

    Attributes:
        start, end: absolute samples (16 kHz) the estimate used.
        voiced_seconds: speech among them.
        frames: log-mel frames of that speech.
        embedding: float32 [64], unit length.
        columns: float32 [E, C], the voice encoder's, one each 0.32 s of speech: the embedding is their mean, made unit length.
        image: uint8 [H, W, 3], RGB.
        drawn: float32 [64], the embedding the picture is of: this one's, or one before that is hardly another.
        coefficients: float32 [P], unit-normal space of the morphable model.
        model: the morphable model.
        confidence: 0 to 1, from how much it moves as speech does, how far the voice agrees with itself, and its length.
        attributes: read off the mesh.
        stages_ns: nanoseconds of each stage of the update that made the estimate; empty while the update is going on.
    """

    start: int
    end: int
    voiced_seconds: float
    frames: int
    embedding: Float32
    frame_embeddings: Float32
    image: NDArray[np.uint8]
    image_embedding: Float32
    coefficients: Float32
    model: MorphableModel
    confidence: float
    attributes: Attributes
    stages_ns: Mapping[str, int]

    @cached_property
    def measurements_mm(self) -> dict[str, float]:
        """Read off the mesh; made when first asked for, since a window shows none."""
        return self.model.measurements_of(self.coefficients)

    @cached_property
    def vertices(self) -> Float32:
        """The mesh, float32 [N, 3], millimetres; made when first asked for, since not every sink wants one."""
        return self.model.vertices(self.coefficients)

    @property
    def image_reused(self) -> bool:
        """Whether the picture is that of an estimate before, since the embedding has hardly moved."""
        return self.image_embedding is not self.embedding

    def moved_mm(self, before: "Estimate") -> float:
        """How far the mesh has moved since another estimate, RMS over vertices in millimetres."""
        return self.model.distance(self.coefficients, before.coefficients)


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """What an estimate says, as JSON (design §4); the picture and the vertices are files' business."""
    return {
        "embedding": estimate.embedding.tolist(),
        "coefficients": estimate.coefficients.tolist(),
        "measurements_mm": estimate.measurements_mm,
        "attributes": {
            "sex": estimate.attributes.sex,
            "face_type": estimate.attributes.face_type,
            "distances_mm": estimate.attributes.distances_mm,
        },
        "confidence": estimate.confidence,
    }
