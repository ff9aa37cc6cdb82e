"""Baseline after disjoint mapping networks (Wen et al. 2018): voices and faces mapped into one space by a common classifier.

Each modality has a network of its own. One linear classifier predicts a covariate (identity: DIMNet-I, sex: DIMNet-G) from
either, so that what they have in common lies in the same place. Here the networks stand on frozen features, two layers
each, where the original's are deep and learn from pictures and spectrograms.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.baselines.features import Features, Standardised
from voxface.training.evaluation.matching.association import unit

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class DimNetConfig:
    """Hyper-parameters.

    Attributes:
        hidden, embedding: widths.
        steps, batch, rate: of Adam; voices per step, and as many pictures.
        decay: weight decay.
        seed: of weights and batches.
    """

    hidden: int = 128
    embedding: int = 64
    steps: int = 1500
    batch: int = 128
    rate: float = 1e-3
    decay: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class DimNet:
    """A trained pair of networks.

    Attributes:
        voice, face: features, standardised -> embedding [N, E].
    """

    voice: nn.Module
    face: nn.Module
    _voice_scale: Standardised
    _face_scale: Standardised

    @classmethod
    def train(
        cls,
        data: Features,
        covariate: NDArray[np.int64],
        config: DimNetConfig = DimNetConfig(),
        *,
        done: Done = not_told,
    ) -> "DimNet":
        """Trains on features; the state of torch's random generator stays as it was.

        Args:
            covariate: int64 [I], what is predicted of each person, from 0.
        """
        voice_scale, face_scale = Standardised.of(data.voices), Standardised.of(data.faces)
        voices, faces = voice_scale(data.voices), face_scale(data.faces)
        of_voices = torch.from_numpy(covariate[data.voice_person])
        of_faces = torch.from_numpy(covariate[data.face_person])
        rng = np.random.default_rng([config.seed, 83])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            voice, face = (_network(x.shape[1], config) for x in (voices, faces))
            shared = nn.Linear(config.embedding, int(covariate.max()) + 1)
            parameters = [p for network in (voice, face, shared) for p in network.parameters()]
            optimiser = torch.optim.AdamW(parameters, config.rate, weight_decay=config.decay)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.steps))
            for step in range(config.steps):
                v = torch.from_numpy(rng.integers(len(voices), size=config.batch))
                f = torch.from_numpy(rng.integers(len(faces), size=config.batch))
                loss = functional.cross_entropy(shared(voice(voices[v])), of_voices[v])
                loss = loss + functional.cross_entropy(shared(face(faces[f])), of_faces[f])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                done(step + 1, config.steps)
        for network in (voice, face):
            network.eval().requires_grad_(False)
        return cls(voice, face, voice_scale, face_scale)

    def of_voices(self, features: Float32) -> Float32:
        """Embeddings float32 [N, E] of unit length of voice features float32 [N, V]."""
        return unit(self.voice(self._voice_scale(features)).numpy())

    def of_faces(self, features: Float32) -> Float32:
        """Embeddings float32 [N, E] of unit length of face features float32 [N, F]."""
        return unit(self.face(self._face_scale(features)).numpy())


def _network(width: int, config: DimNetConfig) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.embedding))
