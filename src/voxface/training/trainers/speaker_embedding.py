"""Trains the small network of the speaker change detector: a speaker embedding of a second or two of log-mel frames.

An x-vector network (Snyder et al. 2018) of some ten thousand numbers: convolutions, mean and spread over time, a linear layer.
It learns to tell the training speakers apart, each also played slower and faster as if somebody else, by an additive margin
(CosFace, Wang et al. 2018), by finding a short piece's speaker among the batch's longer pieces, and from the cosines between
the teacher's vectors of these pieces. Degraded renderings, equalisers and noise keep it from listening to the microphone alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from voxface.runtime.config.speaker_change import FRAMES
from voxface.runtime.features.normalisation import LEVEL_UNIT
from voxface.runtime.live.speaker_embedding import DILATION, LEAST_VARIANCE, STRIDE, SpeakerEmbeddingNetwork
from voxface.training.engine.learning_rate import warmup_then_cosine
from voxface.training.voices.sampler import VoiceSampler

SHORT: Final = (90, 170)  # frames: the lengths that the detector compares
LONG: Final = (200, 400)
SCALE: Final = 20.0
MARGIN: Final = 0.15
RATE: Final = 3e-3
DEGRADED: Final = 0.5  # probability that a piece is of a degraded rendering
SIMILARITY: Final = 10.0  # weight of the squared difference between the cosines and the teacher's
CENTRES: Final = 0.3  # weight of telling the training speakers apart


class Network(nn.Module):
    """Log-mel [B, mels, T] -> voice [B, E]."""

    def __init__(self, mels: int = 64, hidden: int = 64, pooled: int = 192, size: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv1d(mels, hidden, FRAMES, stride=STRIDE, bias=False),
                nn.Conv1d(hidden, hidden, 3, bias=False),
                nn.Conv1d(hidden, hidden, 3, dilation=DILATION, bias=False),
                nn.Conv1d(hidden, pooled, 1, bias=False),
            ]
        )
        self.norms = nn.ModuleList([nn.BatchNorm1d(n) for n in (hidden, hidden, hidden, pooled)])
        self.last = nn.Linear(2 * pooled, size)
        self.last_norm = nn.BatchNorm1d(size, affine=False)

    def forward(self, frames: Tensor) -> Tensor:
        """The voice of each clip."""
        x = frames - frames.mean(1, keepdim=True)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = functional.relu(norm(layer(x)))
        spread = x.var(2, unbiased=False).clamp_min(LEAST_VARIANCE).sqrt()
        out: Tensor = self.last_norm(self.last(torch.cat([x.mean(2), spread], 1)))
        return out

    @torch.no_grad()
    def fold(self) -> SpeakerEmbeddingNetwork:
        """The same network for the runtime, normalisation folded into the layers."""
        layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            assert isinstance(layer, nn.Conv1d)
            assert isinstance(norm, nn.BatchNorm1d)
            scale, shift = _affine(norm)
            weight = layer.weight.permute(2, 1, 0).flatten(0, 1) * scale  # [taps × in, out]
            layers.append((weight.numpy(), shift.numpy()))
        scale, shift = _affine(self.last_norm)
        layers.append((self.last.weight.T.numpy() * scale.numpy(), (self.last.bias * scale + shift).numpy()))
        return SpeakerEmbeddingNetwork(tuple((_short(weight), _short(bias)) for weight, bias in layers))


def train(sampler: VoiceSampler, *, steps: int = 2000, batch: int = 128, seed: int = 0) -> SpeakerEmbeddingNetwork:
    """Learns from the training voices; the same on one thread of one machine.

    Args:
        sampler: draws crops whose level alone is taken away.
        steps, batch: steps, and voices in each.
        seed: random seed.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    batch = min(batch, sampler.voices)
    network = Network()
    centres = nn.Parameter(0.1 * torch.randn(sampler.voices, network.last.out_features))
    sharpness = nn.Parameter(torch.tensor(10.0))
    optimiser = torch.optim.AdamW([*network.parameters(), centres, sharpness], weight_decay=2e-2)
    network.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * warmup_then_cosine(step, steps, max(1, steps // 20), start=0.04)
        voices = sampler.pick(batch, rng)
        pieces, told = [], []
        for lengths in (SHORT, LONG):
            log_mel, directions = sampler.crops(voices, int(rng.integers(*lengths)), DEGRADED, rng)
            pieces.append(functional.normalize(network(_elsewhere(LEVEL_UNIT * torch.from_numpy(log_mel), rng))))
            told.append(torch.from_numpy(directions))
        short, long = pieces
        cosines = short @ long.T
        loss = functional.cross_entropy(sharpness * cosines, torch.arange(batch))
        loss = loss + SIMILARITY * (cosines - told[0] @ told[1].T).square().mean()
        labels = torch.from_numpy(voices)
        for voice in (short, long):
            near = voice @ functional.normalize(centres).T
            margin = MARGIN * functional.one_hot(labels, sampler.voices)
            loss = loss + CENTRES * functional.cross_entropy(SCALE * (near - margin), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
    return network.eval().fold()


def _elsewhere(clips: Tensor, rng: np.random.Generator) -> Tensor:
    """Half the clips through another equaliser, half with noise below them, as log-mel [B, mels, T]."""
    count, mels, _ = clips.shape
    place = (torch.arange(mels) + 0.5) / mels
    waves = torch.cos(np.pi * torch.arange(6)[:, None] * place)

    def curve(sizes: Sequence[float]) -> Tensor:
        drawn = rng.normal(size=(count, len(sizes))) * np.asarray(sizes)
        return (torch.from_numpy(drawn.astype(np.float32)) @ waves[: len(sizes)])[:, :, None]

    def half() -> Tensor:
        return torch.from_numpy(rng.random((count, 1, 1)) < 0.5)

    clips = clips + half() * curve((0.9, 0.54, 0.36, 0.27, 0.18, 0.18))
    below = torch.from_numpy(rng.uniform(5, 12, (count, 1, 1)).astype(np.float32))
    noise = clips.amax((1, 2), keepdim=True) - below + curve((0.0, 0.7, 0.7, 0.7, 0.7)) + 0.3 * torch.randn(clips.shape)
    return torch.where(half(), torch.logaddexp(clips, noise), clips)


def _affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift + norm.bias if norm.affine else shift


def _short(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The values rounded to FP16, as the file stores them."""
    return values.astype(np.float16).astype(np.float32)
