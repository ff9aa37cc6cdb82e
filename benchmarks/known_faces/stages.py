"""Stages that have a folder each: finished before, gone on with, or done now."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.known_faces.sizes import Sizes
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import UsageError
from voxface.runtime.files.existing import fresh_folder
from voxface.training.data.expert_renders import RenderConfig
from voxface.training.data.pairs import Pairs
from voxface.training.data.parallel_map import Processes
from voxface.training.engine.run import RunConfig
from voxface.training.engine.trained_networks import ABOUT, describe, load_network
from voxface.training.faces.population import FacePopulation
from voxface.training.trainers import expert as expert_trainer
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.synthetic import SyntheticConfig, synthetic_world

Say = Callable[[str], None]
"""Callback with a line about what happens."""


def world(folder: Path, sizes: Sizes, seed: int, workers: int, say: Say) -> Pairs:
    """The synthetic people of a seed."""
    config = SyntheticConfig(
        people=sizes.people,
        utterances=sizes.utterances,
        seconds=sizes.seconds,
        coupling=sizes.coupling,
        seed=seed,
        pictures=PictureConfig(each=sizes.pictures),
    )
    place = folder / "pairs"
    if not place.exists():
        say(f"seed {seed}: {sizes.people} people")
        bundle = Bundle.open()
        population = FacePopulation.load(bundle.path / "population.npz")
        with fresh_folder(place) as fresh:
            synthetic_world(config, bundle.morphable, population, fresh, engine=Processes(workers))
    pairs = Pairs.load(place)
    if json.loads(json.dumps(asdict(config))) != pairs.about.get("config"):
        raise UsageError(f"{place}: these people were made with other settings; choose another --out")
    return pairs


def trained_expert(asked: argparse.Namespace, sizes: Sizes, pairs: Pairs, say: Say) -> nn.Module:
    """The expert of all seeds: given, or trained on renders."""
    folder = expert_folder(asked)
    if asked.expert is not None:
        return load_network(folder, "expert")
    config = expert_trainer.ExpertConfig(
        run=run_config(asked, 0, 200),
        renders=RenderConfig(pictures=sizes.renders),
        held=max(sizes.renders // 15, 1),
        workers=asked.workers,
        size=sizes.pixels,
        trunk=sizes.trunk,
        rate=sizes.expert_rate,
        steps=sizes.expert_steps,
        batch=sizes.expert_batch,
    )
    return stage(folder, config, "expert", say, expert_trainer.train_expert, pairs)


def stage(
    folder: Path, config: Any, name: str, say: Say, train: Callable[..., Any], *parts: Any, **more: Any
) -> nn.Module:
    """The network `name` of a training: from its folder where that is finished, else trained, or trained further.

    Raises:
        UsageError: it was made with other settings.
    """
    if (folder / ABOUT).is_file():
        kept, now = (_settings(c) for c in (describe(folder).get("config", {}), asdict(config)))
        if kept != now:
            changed = ", ".join(sorted(key for key in kept.keys() | now.keys() if kept.get(key) != now.get(key)))
            raise UsageError(f"{folder}: was trained with other settings ({changed}); choose another --out")
        say(f"{folder}: finished before")
    else:
        say(f"{folder}: {config.steps} steps")
        began = time.monotonic()
        train(*parts, config, folder, resume=folder.exists(), **more)
        say(f"{folder}: {(time.monotonic() - began) / max(config.steps, 1):.2f} s a step, all included")
    return load_network(folder, name)


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that two trainings must share to be the same, as JSON holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return {key: value for key, value in plain.items() if key not in ("run", "workers")}


def run_config(asked: argparse.Namespace, seed: int, checkpoint_every: int) -> RunConfig:
    """Settings of a run on the device that was asked for; on a GPU checkpoints are rarer, since steps are quick."""
    return RunConfig(
        seed=seed,
        checkpoint_every=checkpoint_every if not on_gpu(asked.accelerator) else 1000,
        keep=1,
        sample_every=500,
        accelerator=asked.accelerator,
        precision="bf16-mixed" if on_gpu(asked.accelerator) else "32-true",
    )


def expert_folder(asked: argparse.Namespace) -> Path:
    """The folder of the expert that was given, or of the one that is trained."""
    return Path(asked.expert or asked.out / "expert")


def on_gpu(accelerator: str) -> bool:
    """Whether an accelerator that was asked for means a GPU here."""
    return accelerator != "cpu" and torch.cuda.is_available()
