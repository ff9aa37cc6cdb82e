"""All networks of a bundle, from the folder of one run or of several.

A face or mesh network works only with the voice encoder it was trained with, so its run records that encoder's SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from torch import nn

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.engine.trained_faces import TrainedFaces, read_trained_faces
from voxface.training.engine.trained_networks import (
    BUNDLED,
    MADE_BY,
    describe,
    has_network,
    load_network,
    weights_digest,
    write_networks,
)
from voxface.training.faces.population import FacePopulation
from voxface.training.models import FaceGenerator, VoiceEncoder


@dataclass
class TrainedNetworks:
    """Networks of one bundle, in eval mode, with their provenance.

    Attributes:
        encoder, face: voice encoder and face generator.
        mesh: a `MeshRegressor` or a `JointMesh`.
        morphable: the morphable model of the mesh's coefficients.
        population: distribution of faces within each sex, where it is known for the morphable model.
        face_posterior: the file of the distribution of faces given a voice, where the mesh's run has fitted it.
        name, version, licence, description, trained_on, metrics: as the manifest will have them.
        architecture: keyword arguments that each network was built with.
        parts: what each run's `checkpoint.json` says `about` its networks, by the names of the networks taken from it ("face",
            "encoder+mesh").
    """

    encoder: VoiceEncoder
    face: FaceGenerator
    mesh: nn.Module
    morphable: MorphableModel
    name: str
    version: str
    licence: str
    description: str
    trained_on: list[str]
    metrics: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, dict[str, Any]] = field(default_factory=dict)
    population: FacePopulation | None = None
    face_posterior: bytes | None = None
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes all networks into a folder, `checkpoint.json` last."""
        keys = ("name", "version", "licence", "description", "trained_on", "metrics")
        about = {key: getattr(self, key) for key in keys}
        other = {name: value for name, value in self.architecture.items() if name not in BUNDLED}
        faces = TrainedFaces(self.morphable, self.population, self.face_posterior)
        write_networks(folder, self._networks(), self.architecture, {**about, "config": other}, faces, None)

    @classmethod
    def load(cls, *folders: Path) -> Self:
        """Reads a bundle's networks from one folder, or from the folders of several runs; nothing in them can run code.

        Raises:
            InputError: a folder is missing or damaged, weights do not fit their architecture, a network is in two folders or
                in none, or was trained with another voice encoder.
        """
        described = {folder: describe(folder) for folder in folders}
        sources = _sources(described)
        networks = {name: load_network(folder, name) for name, folder in sources.items()}
        digest = weights_digest(networks["encoder"])
        for name in ("face", "mesh"):
            check_trained_with(sources[name], name, sources["encoder"], digest)
        faces = read_trained_faces(sources["mesh"], described[sources["mesh"]].get("files"))
        morphable = faces.morphable
        architecture = {name: _architecture(described[folder], name) for name, folder in sources.items()}
        if architecture["mesh"].get("coefficients") != morphable.modes:
            raise InputError(
                f"{sources['mesh']}: not a checkpoint that can be loaded: mesh gives "
                f"{architecture['mesh'].get('coefficients')} coefficients, its morphable model has {morphable.modes}"
            )
        taken: dict[Path, list[str]] = {}
        for name, folder in sources.items():
            taken.setdefault(folder, []).append(name)
        parts = {"+".join(names): _about(described[folder]) for folder, names in taken.items()}
        only = described[next(iter(taken))] if len(taken) == 1 else {}
        encoder, face = networks["encoder"], networks["face"]
        assert isinstance(encoder, VoiceEncoder)
        assert isinstance(face, FaceGenerator)
        return cls(
            encoder=encoder,
            face=face,
            mesh=networks["mesh"],
            morphable=morphable,
            population=faces.population,
            face_posterior=faces.posterior,
            name=str(only.get("name", "")),
            version=str(only.get("version", "")),
            licence="; ".join(dict.fromkeys(str(p["licence"]) for p in parts.values() if p.get("licence")))
            or "not given",
            description=str(only.get("description", "")),
            trained_on=list(dict.fromkeys(str(line) for p in parts.values() for line in p.get("trained_on", []))),
            metrics=dict(only.get("metrics", {})) if only else {key: p.get("metrics", {}) for key, p in parts.items()},
            architecture=architecture,
            parts=parts,
        )

    def _networks(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "face": self.face, "mesh": self.mesh}


def check_trained_with(source: Path, name: str, encoder: Path, digest: str) -> None:
    """Checks that a network was trained with a voice encoder.

    Args:
        source: the network's folder; of a bare `.safetensors` file nothing is known, and nothing is checked.
        name: of the network.
        encoder: the voice encoder's folder or file, for the message.
        digest: `weights_digest` of the voice encoder.

    Raises:
        InputError: it was trained with another voice encoder, or the folder holds no trained networks.
    """
    trained_with = digest if source.is_file() else describe(source).get("encoder_sha256", digest)
    if trained_with != digest:
        raise InputError(
            f"{source}: its {name} network was trained with another voice encoder (SHA-256 {trained_with[:12]}…) than the "
            f"one of {encoder} ({digest[:12]}…); give the encoder it was trained with, or train it again with this one"
        )


def _sources(described: Mapping[Path, Mapping[str, Any]]) -> dict[str, Path]:
    """The folder of each network of a bundle."""
    sources: dict[str, Path] = {}
    for name in BUNDLED:
        having = [folder for folder, document in described.items() if has_network(document, name)]
        if not having:
            given = ", ".join(str(folder) for folder in described) or "what was given"
            raise InputError(f"{given}: no {name} network there; make one with {MADE_BY[name]} and give its folder too")
        hashes = {described[folder]["networks"].get(name, {}).get("sha256", str(folder)) for folder in having}
        if len(hashes) > 1:
            raise InputError(f"{' and '.join(map(str, having))}: each holds another {name} network; leave one out")
        sources[name] = having[0]
    return sources


def _architecture(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    networks = document["networks"]
    if name in networks:
        return dict(networks[name]["architecture"])
    student = dict(networks["student"]["architecture"])
    coefficients = student.pop("coefficients")
    return {"kind": "joint", "coefficients": coefficients, **networks["face"]["architecture"], "student": student}


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("format", "networks", "files", "seal", "encoder_sha256", "architecture", "name", "version", "description")
    return {key: value for key, value in document.items() if key not in kept}
