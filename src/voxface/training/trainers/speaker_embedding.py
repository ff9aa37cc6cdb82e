"""Trains the small network of the speaker change detector: a speaker embedding of a second or two of log-mel frames.

An x-vector network (Snyder et al. 2018) of 41 thousand numbers: convolutions, mean and spread over time, a linear layer. It
learns to tell the training speakers apart, each also played slower and faster as if somebody else, by an additive margin
(CosFace, Wang et al. 2018) and by finding a short piece's speaker among the batch's longer pieces. Equalisers and noise
keep it from listening to the microphone alone.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speaker_change import FRAMES
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.live.speaker_embedding import DILATION, LEAST_VARIANCE, STRIDE, SpeakerEmbeddingNetwork

SPEEDS: Final = (0.84, 0.92, 1.0, 1.09, 1.19)
SHORT: Final = (90, 170)  # frames: the lengths that the detector compares
LONG: Final = (200, 400)
SCALE: Final = 20.0
MARGIN: Final = 0.15


class Network(nn.Module):
    """Log-mel [B, mels, T] -> voice [B, E]."""

    def __init__(self, mels: int = 64, hidden: int = 48, pooled: int = 96, size: int = 32) -> None:
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


def train(
    clips: Sequence[NDArray[np.int16]], *, steps: int = 600, batch: int = 96, seed: int = 0
) -> SpeakerEmbeddingNetwork:
    """Learns from speech int16 [n] at 16 kHz, one clip a speaker; the same on one thread of one machine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    voices = [torch.from_numpy(log_mel(_played(clip, speed))) for clip in clips for speed in SPEEDS]
    voices = [frames for frames in voices if len(frames) >= SHORT[1] + LONG[0] // 2]
    network = Network()
    centres = nn.Parameter(0.1 * torch.randn(len(voices), network.last.out_features))
    sharpness = nn.Parameter(torch.tensor(10.0))
    optimiser = torch.optim.AdamW([*network.parameters(), centres, sharpness], weight_decay=2e-2)
    network.train()
    for step in range(steps):
        rate = 3e-3 * min(1.0, step / 100) * (0.51 + 0.5 * float(np.cos(np.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        who = rng.choice(len(voices), min(batch, len(voices)), replace=False)
        short, long = (
            functional.normalize(network(_batch([voices[k] for k in who], int(rng.integers(*lengths)), rng)))
            for lengths in (SHORT, LONG)
        )
        labels = torch.from_numpy(who)
        loss = functional.cross_entropy(sharpness * short @ long.T, torch.arange(len(who)))
        for voice in (short, long):
            cosines = voice @ functional.normalize(centres).T
            margin = MARGIN * functional.one_hot(labels, len(voices))
            loss = loss + functional.cross_entropy(SCALE * (cosines - margin), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
    return network.eval().fold()


def _played(clip: NDArray[np.int16], speed: float) -> NDArray[np.int16]:
    resampler = Resampler(round(SAMPLE_RATE * speed))
    return to_int16(resampler.feed(clip.astype(np.float32) / np.float32(32768), last=True))


def _batch(voices: list[Tensor], length: int, rng: np.random.Generator) -> Tensor:
    """A piece of each voice, [B, mels, length]; shorter ones are repeated."""
    pieces = []
    for frames in voices:
        start = int(rng.integers(0, max(0, len(frames) - length) + 1))
        piece = frames[start : start + length]
        pieces.append(piece.repeat(-(-length // len(piece)), 1)[:length].T)
    return _elsewhere(torch.stack(pieces), rng)


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
