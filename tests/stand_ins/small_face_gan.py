"""Trainings of the face GAN that take a moment: narrow networks, a judge that knows nothing, a batch of noise."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tests.training.seeds import varied
from voxface.training.data.voice_face_sampler import Batch
from voxface.training.engine.run import RunConfig
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig
from voxface.training.trainers.face_gan import PRESETS, FaceGanConfig

TINY_JUDGE = JudgeConfig(channels=(4, 4, 4, 4, 4), embedding=2, steps=2, batch=4, seed=varied())


def small(preset: str, **changes: Any) -> FaceGanConfig:
    """A preset with narrow networks, few steps and a judge that knows nothing."""
    config = replace(
        PRESETS[preset],
        steps=2,
        batch=4,
        channels=(8, 8, 8, 8, 8),
        critic=(4, 4, 4, 4, 4),
        length=(40, 90),
        bank=min(2, PRESETS[preset].bank),
        judge=TINY_JUDGE,
        run=RunConfig(seed=varied(), accelerator="cpu", log_every=1),
    )
    return replace(config, **changes)


def some_batch(count: int = 4, embedding: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(varied(3))
    directions = torch.randn(count, embedding, generator=generator)
    return Batch(
        nn.functional.normalize(directions, dim=1),
        torch.arange(count) % 3,
        torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1,
        torch.arange(count) % 2,
    )
