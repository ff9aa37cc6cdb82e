"""The command of a mesh training that takes a second, and the pairs and the voice encoder that it needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

ENCODER: Final[dict[str, Any]] = {"channels": (8, 8, 8, 16)}  # as small as it goes


def write_world(folder: Path) -> Path:
    """Writes a folder of pairs `pairs` and an untrained voice encoder `encoder`; returns `folder`."""
    import torch

    from tests.stand_ins.small_pairs import small_pairs
    from voxface.training.engine.trained_networks import save_networks
    from voxface.training.faces.population import FacePopulation
    from voxface.training.models import VoiceEncoder

    pairs = small_pairs()
    spread = np.stack([np.eye(2, dtype=np.float32) / 4] * 2)
    replace(pairs, population=FacePopulation(pairs.morphable.sex_means, spread)).save(folder / "pairs")
    torch.manual_seed(0)
    save_networks(folder / "encoder", {"encoder": VoiceEncoder(**ENCODER)}, {"encoder": ENCODER}, {})
    return folder


def mesh_words(world: Path, out: Path, steps: int = 4) -> list[str]:
    """A training of a second."""
    words = ["mesh", "--data", world / "pairs", "--encoder", world / "encoder", "--out", out, "--steps", steps]
    words += ["--batch", 4, "--accelerator", "cpu", "--set", "hidden=8", "--set", "bank=1", "--set", "crop=64,96"]
    return [str(word) for word in words]
