"""A trained checkpoint: a folder with the networks' weights, the morphable model, and what is known about them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import nn

from voxface.runtime.errors import InputError
from voxface.runtime.morphable import MorphableModel
from voxface.training.faces.population import FacePopulation
from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

ABOUT = "checkpoint.json"
POPULATION = "population.npz"


@dataclass
class Checkpoint:
    """The networks of one bundle, in eval mode, with their provenance.

    Attributes:
        encoder, face, mesh, morphable: the parts.
        population: how faces are spread within each sex, where that is known of the morphable model.
        name, version, licence, description, trained_on, metrics: what the manifest will say.
        architecture: keyword arguments each network was built with.
    """

    encoder: VoiceEncoder
    face: FaceGenerator
    mesh: MeshRegressor
    morphable: MorphableModel
    name: str
    version: str
    licence: str
    description: str
    trained_on: list[str]
    metrics: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, dict[str, Any]] = field(default_factory=dict)
    population: FacePopulation | None = None

    def save(self, folder: Path) -> None:
        """Writes the checkpoint, the description last."""
        from safetensors.torch import save

        from voxface.runtime.atomic import write_bytes

        for name, network in self._networks().items():
            tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
            write_bytes(folder / f"{name}.safetensors", save(tensors))
        self.morphable.save(folder / "morphable.npz")
        if self.population is not None:
            self.population.save(folder / POPULATION)
        keys = ("name", "version", "licence", "description", "trained_on", "metrics", "architecture")
        write_bytes(folder / ABOUT, json.dumps({k: getattr(self, k) for k in keys}, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote; nothing in it can run code.

        Raises:
            InputError: missing, damaged, or weights that do not fit the architecture.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        if not (folder / ABOUT).is_file():
            raise InputError(f"{folder}: no checkpoint here ({ABOUT} is missing)")
        try:
            about = json.loads((folder / ABOUT).read_text())
            architecture: dict[str, Any] = {
                name: {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
                for name, arguments in about["architecture"].items()
            }
            checkpoint = cls(
                encoder=VoiceEncoder(**architecture["encoder"]),
                face=FaceGenerator(**architecture["face"]),
                mesh=MeshRegressor(**architecture["mesh"]),
                morphable=MorphableModel.from_bytes((folder / "morphable.npz").read_bytes()),
                population=FacePopulation.load(folder / POPULATION) if (folder / POPULATION).is_file() else None,
                **about,
            )
            for name, network in checkpoint._networks().items():
                network.load_state_dict(load((folder / f"{name}.safetensors").read_bytes()))
                network.eval()
        except (KeyError, ValueError, TypeError, RuntimeError, OSError, SafetensorError) as error:
            raise InputError(f"{folder}: not a checkpoint that can be loaded: {error}") from error
        return checkpoint

    def _networks(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "face": self.face, "mesh": self.mesh}
