"""Training data of the matching baselines: frozen embeddings of voices and of pictures, and whose they are."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """Frozen features of voices and pictures.

    Attributes:
        voices: float32 [N, V].
        voice_person: int64 [N].
        faces: float32 [M, F].
        face_person: int64 [M].
    """

    voices: Float32
    voice_person: NDArray[np.int64]
    faces: Float32
    face_person: NDArray[np.int64]


@dataclass(frozen=True)
class Standardised:
    """Brings features to mean 0 and deviation 1 over what was learnt from.

    Attributes:
        mean, scale: float32 [F].
    """

    mean: Float32
    scale: Float32

    @classmethod
    def of(cls, features: Float32) -> "Standardised":
        """Of float32 [N, F]."""
        return cls(features.mean(0), 1 / np.maximum(features.std(0), 1e-6))

    def __call__(self, features: Float32) -> Tensor:
        """float32 [N, F] as a tensor."""
        return torch.from_numpy((features - self.mean) * self.scale)
