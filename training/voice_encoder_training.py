"""Trains the voice encoder to tell speakers apart (Wen 2019, §3.1), with sex as a second task.

Speed-changed copies count as further speakers, as is usual in speaker recognition: few recordings become more voices,
and the embedding stays sensitive to pitch and formants.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.features import log_mel
from voxface.training.augment import AugmentConfig, augment, change_speed
from voxface.training.models import VoiceEncoder
from voxface.training.speech import Recording, voiced_audio

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class VoiceEncoderTraining:
    """Every hyper-parameter.

    Attributes:
        steps, batch, learning_rate: of Adam, one-cycle.
        crop: shortest and longest crop in frames (published: 300 to 800; shorter is harder), one length per batch.
        speeds: each makes its own class of every speaker.
        variants: augmented renderings kept of each recording and speed.
        mask_bands, mask_width: mel bands hidden in each crop.
        scale: of the cosine logits.
        sex_weight: of the sex cross-entropy beside the speaker cross-entropy.
    """

    steps: int = 700
    batch: int = 64
    learning_rate: float = 2e-3
    crop: tuple[int, int] = (200, 500)
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    variants: int = 3
    mask_bands: int = 2
    mask_width: int = 8
    scale: float = 20.0
    sex_weight: float = 1.0
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class Voice:
    """Log-mel frames [T, mels] of one rendering of one recording."""

    recording: Recording
    speaker: int
    frames: Frames


def render_voices(
    recordings: Sequence[Recording],
    config: VoiceEncoderTraining,
    noises: Sequence[NDArray[np.int16]],
    rooms: Sequence[NDArray[np.int16]],
    say: Callable[[str], None],
) -> list[Voice]:
    """Log-mels of every recording at every speed: one clean rendering and `variants` augmented ones."""
    rng = np.random.default_rng(config.seed)
    names = sorted({r.speaker for r in recordings})
    voices = []
    for done, recording in enumerate(recordings):
        audio = voiced_audio(recording.path)
        for k, speed in enumerate(config.speeds):
            quick = change_speed(audio, speed)
            speaker = names.index(recording.speaker) * len(config.speeds) + k
            copies = [quick, *(augment(quick, rng, config.augment, noises, rooms) for _ in range(config.variants))]
            voices += [Voice(recording, speaker, log_mel(copy)) for copy in copies]
        if done % 40 == 0:
            say(f"features: {done}/{len(recordings)} recordings")
    return voices


def crop(frames: Frames, length: int, rng: np.random.Generator) -> Frames:
    """A random stretch of `length` frames, each bin normalised over it; shorter recordings are tiled."""
    if len(frames) < length:
        frames = np.tile(frames, (-(-length // len(frames)), 1))
    start = int(rng.integers(len(frames) - length + 1))
    piece = frames[start : start + length]
    normal: Frames = (piece - piece.mean(0)) / (piece.std(0) + np.finfo(np.float32).eps)
    return normal


def mask(frames: Frames, bands: int, width: int, rng: np.random.Generator) -> Frames:
    """Normalised frames with up to `bands` bands of up to `width` mel bins set to their mean (SpecAugment)."""
    for _ in range(bands):
        wide = int(rng.integers(width + 1))
        start = int(rng.integers(frames.shape[1] - wide + 1))
        frames[:, start : start + wide] = 0
    return frames


def train_voice_encoder(
    voices: Sequence[Voice], config: VoiceEncoderTraining, say: Callable[[str], None]
) -> VoiceEncoder:
    """Trains from scratch; returns the encoder in eval mode."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    encoder = VoiceEncoder()
    speakers = nn.Parameter(torch.randn(max(v.speaker for v in voices) + 1, 64))
    sexes = nn.Parameter(torch.randn(2, 64))
    optimiser = torch.optim.AdamW([*encoder.parameters(), speakers, sexes], config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.2
    )
    encoder.train()

    def hidden(frames: Frames) -> Frames:
        return mask(frames, config.mask_bands, config.mask_width, rng)

    began = time.monotonic()
    for step in range(config.steps):
        length = int(rng.integers(config.crop[0], config.crop[1] + 1))
        picked = [voices[i] for i in rng.integers(len(voices), size=config.batch)]
        batch = torch.from_numpy(np.stack([hidden(crop(v.frames, length, rng)).T for v in picked]))
        speaker = torch.tensor([v.speaker for v in picked])
        sex = torch.tensor([int(v.recording.sex == "M") for v in picked])
        embedding, _ = encoder(batch)
        identity = F.cross_entropy(config.scale * embedding @ F.normalize(speakers, dim=1).T, speaker)
        male = F.cross_entropy(config.scale * embedding @ F.normalize(sexes, dim=1).T, sex)
        loss: Tensor = identity + config.sex_weight * male
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {step}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 49 or step == 0:
            pace = (time.monotonic() - began) / (step + 1)
            say(
                f"voice encoder: step {step + 1}/{config.steps} speaker {identity:.3f} sex {male:.3f} ({pace:.2f} s/step)"
            )
    return encoder.eval()
