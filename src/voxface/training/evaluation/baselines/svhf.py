"""Baseline after "Seeing Voices and Hearing Faces" (Nagrani et al. 2018): a network sees a voice and two faces and chooses.

Their network has three deep streams and three layers on them; here the streams are frozen features, and two layers choose. It
learns from trials drawn from the people learnt from, the right face on either side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.baselines.features import Features, Standardised
from voxface.training.evaluation.matching.drawn_trials import drawing
from voxface.training.evaluation.matching.matching_trials import Choice

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SvhfConfig:
    """Hyper-parameters.

    Attributes:
        hidden: width; it decides how long millions of trials take.
        steps, batch, rate: of Adam; trials per step.
        decay: weight decay.
        seed: of weights, trials and sides.
    """

    hidden: int = 64
    steps: int = 2000
    batch: int = 256
    rate: float = 1e-3
    decay: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Svhf:
    """A trained network: [voice, left face, right face] -> which of the two is the voice's.

    Attributes:
        first, last: its two layers; the first is kept in three parts, because each voice and face is in many trials.
    """

    first: tuple[Float32, Float32, Float32]  # [H, V], [H, F], [H, F]
    bias: Float32
    last: Float32  # [H], logit of the right side minus that of the left
    last_bias: float
    _voice_scale: Standardised
    _face_scale: Standardised

    @classmethod
    def train(cls, data: Features, config: SvhfConfig = SvhfConfig(), *, done: Done = not_told) -> "Svhf":
        """Trains on features; the state of torch's random generator stays as it was.

        Raises:
            ValueError: no trial can be drawn.
        """
        voice_scale, face_scale = Standardised.of(data.voices), Standardised.of(data.faces)
        voices, faces = voice_scale(data.voices), face_scale(data.faces)
        trials = np.concatenate(
            list(drawing(data.voice_person, data.face_person).trials(config.steps * config.batch, seed=config.seed))
        )
        rng = np.random.default_rng([config.seed, 89])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            first = nn.Linear(voices.shape[1] + 2 * faces.shape[1], config.hidden)
            last = nn.Linear(config.hidden, 2)
            optimiser = torch.optim.AdamW(
                [*first.parameters(), *last.parameters()], config.rate, weight_decay=config.decay
            )
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.steps))
            for step in range(config.steps):
                part = trials[step * config.batch : (step + 1) * config.batch]
                side = rng.integers(2, size=len(part))
                left, right = (np.where(side == k, part[:, 1], part[:, 2]) for k in (0, 1))
                seen = torch.cat([voices[part[:, 0]], faces[left], faces[right]], dim=1)
                loss = functional.cross_entropy(last(torch.relu(first(seen))), torch.from_numpy(side))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                done(step + 1, config.steps)
        weight, out = (layer.weight.detach().numpy().copy() for layer in (first, last))
        ends = np.cumsum([voices.shape[1], faces.shape[1]])
        of_voice, of_left, of_right = np.split(weight, ends, axis=1)
        bias = first.bias.detach().numpy().copy()
        gap = last.bias.detach().numpy()
        return cls(
            (of_voice, of_left, of_right),
            bias,
            out[1] - out[0],
            float(gap[1] - gap[0]),
            voice_scale,
            face_scale,
        )

    def choosing(self, voices: Float32, faces: Float32, *, seed: int = 0) -> Choice:
        """Chooses between two of these faces [C, F] for one of these voices [P, V]; which side is which is drawn."""
        voice = self._voice_scale(voices).numpy() @ self.first[0].T + self.bias
        face = self._face_scale(faces).numpy()
        left, right = face @ self.first[1].T, face @ self.first[2].T
        rng = np.random.default_rng([seed, 97])

        def choose(trials: NDArray[np.int64]) -> NDArray[np.float32]:
            side = rng.integers(2, size=len(trials))  # where the right face is shown
            one, other = (np.where(side == k, trials[:, 1], trials[:, 2]) for k in (0, 1))
            hidden = voice.take(trials[:, 0], 0)  # several times faster than by brackets
            hidden += left.take(one, 0)
            hidden += right.take(other, 0)
            verdict = np.maximum(hidden, 0, out=hidden) @ self.last + self.last_bias
            return np.where(verdict == 0, 0.5, (verdict > 0) == (side == 1)).astype(np.float32)

        return choose
