"""Trained networks on disk, with their architecture and provenance: the result of one run, or all networks of a bundle.

A folder holds

    checkpoint.json        format, the networks with their architecture, what they were trained on, metrics; SHA-256 of every
                           file, and of itself (seal)
    NAME.safetensors       weights of each network: encoder, face, mesh, expert, student, and of a GAN its critics: the face
                           embedding network `critic` and its heads `discriminator` and `classifier` (Wen 2019, Table 2)
    morphable.npz          the morphable model, where a network gives coefficients
    population.npz         distribution of faces within each sex (where known)
    face_posterior.npz     distribution of faces given a voice (of a mesh network, where it could be fitted)

One run gives some of the networks; `TrainedNetworks.load` takes a bundle's from several runs. A face or mesh network works only
with the voice encoder it was trained with, so its run records that encoder's SHA-256. (Checkpoints of a run that is under way:
`checkpoint`.)
"""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR, read_face_posterior
from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.files.sealed_json import is_intact, sealed
from voxface.training.faces.population import FacePopulation
from voxface.training.foreign.state_dicts import read_state_dict
from voxface.training.models import (
    Classifier,
    Discriminator,
    FaceEmbedding,
    FaceGenerator,
    MeshRegressor,
    VoiceEncoder,
)
from voxface.training.models.frozen import Frozen
from voxface.training.models.shrunk_mesh import ShrunkMesh

if TYPE_CHECKING:
    from voxface.training.data.pairs import Pairs

FORMAT: Final = 2  # format 1, which had no number, held all three networks of a bundle, without hashes
ABOUT: Final = "checkpoint.json"
MORPHABLE: Final = "morphable.npz"
POPULATION: Final = "population.npz"
CRITICS: Final = ("critic", "discriminator", "classifier")
NETWORKS: Final = ("encoder", "face", "mesh", "expert", "student", *CRITICS)
BUNDLED: Final = ("encoder", "face", "mesh")
_BESIDE: Final = ".networks-"
_COEFFICIENTS: Final = ("mesh", "expert", "student")
_VERBS: Final = {
    "encoder": "`voxface train voice-encoder`",
    "face": "`voxface train face-gan`, `portrait` or `joint`",
    "mesh": "`voxface train mesh` or `joint`",
    "expert": "`voxface train expert`",
    "student": "`voxface train joint`",
    **dict.fromkeys(
        CRITICS, "`voxface train face-gan` or `joint` (earlier versions kept it in their checkpoints only)"
    ),
}


def save_networks(
    folder: Path,
    networks: Mapping[str, nn.Module],
    architecture: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    pairs: "Pairs | None" = None,
    *,
    encoder: nn.Module | None = None,
    face_posterior: bytes | None = None,
    identities: Sequence[str] = (),
) -> None:
    """Writes the networks of a run into its folder, `checkpoint.json` last; only the first of several processes writes.

    Networks that the folder held before are replaced once all files are written, so that a full disk costs none of them.

    Args:
        networks: networks by name, one or more of `NETWORKS`; wrappers (`Frozen`, Fabric's) are taken off.
        architecture: keyword arguments that each network was built with. A mesh network that is generator and student in one
            (`JointMesh`) has {"kind": "joint", …}; where `face` and `student` are saved, it can be left out, because it is
            made of these two. A `ShrunkMesh` has {"kind": "shrunk", …} and the arguments of its regressor.
        about: `trained_on` (list of lines), `licence`, `metrics` (with the trivial answers under "trivial"), `config` (the
            trainer's dataclass), and any other JSON values; dataclasses and NumPy scalars are converted.
        pairs: training data; its morphable model and population are saved beside networks that give coefficients.
        encoder: the voice encoder that a face or mesh network was trained with, where it is not among `networks`.
        face_posterior: see `voxface.runtime.bundle.face_posterior_file`; of the mesh network, with `pairs`.
        identities: names of the people that a classifier tells apart, in the order of its classes.

    Raises:
        ValueError: an unknown name, a network without architecture, or a classifier without a name for each class.
    """
    for name in networks:
        if name not in NETWORKS or name not in architecture:
            raise ValueError(f"{name}: not one of {', '.join(NETWORKS)}, or without architecture")
    classes = architecture["classifier"]["identities"] if "classifier" in networks else 0
    if len(set(identities)) != classes or len(identities) != classes:
        raise ValueError(f"{len(identities)} identities ({len(set(identities))} different) of {classes} classes")
    gives_faces = pairs is not None and any(name in _COEFFICIENTS for name in networks)
    faces = _Faces(pairs.morphable, pairs.population, face_posterior) if gives_faces and pairs is not None else None
    _save(folder, networks, architecture, about, faces, encoder, identities)


def _save(
    folder: Path,
    networks: Mapping[str, nn.Module],
    architecture: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    faces: "_Faces | None",
    encoder: nn.Module | None,
    identities: Sequence[str] = (),
) -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
        return
    from safetensors.torch import save

    voice_encoder = networks.get("encoder", encoder)
    document: dict[str, Any] = {
        "format": FORMAT,
        "networks": {},
        **({} if voice_encoder is None else {"encoder_sha256": weights_digest(voice_encoder)}),
        **about,
    }
    contents: dict[str, bytes] = {}
    for name, network in networks.items():
        data = contents[f"{name}.safetensors"] = save(_tensors(network))
        document["networks"][name] = {
            "architecture": dict(architecture[name]),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    if identities:
        document["networks"]["classifier"]["identities"] = list(identities)
    if faces is not None:
        of_faces = faces.contents()
        document["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in of_faces.items()}
        contents |= of_faces
    contents[ABOUT] = json.dumps(sealed(_plain(document)), indent=1, allow_nan=False).encode() + b"\n"
    _write_all(folder, contents)
    if faces is not None:
        for name in {POPULATION, FACE_POSTERIOR} - contents.keys():  # of the networks that were there before
            (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Faces:
    """What is known of the faces that networks give: their model, population and posterior."""

    morphable: MorphableModel
    population: FacePopulation | None
    posterior: bytes | None

    def contents(self) -> dict[str, bytes]:
        """File name -> bytes."""
        return {
            MORPHABLE: self.morphable.to_bytes(),
            **({} if self.population is None else {POPULATION: self.population.to_bytes()}),
            **({} if self.posterior is None else {FACE_POSTERIOR: self.posterior}),
        }


def _write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes all files beside their places, then renames each, in this order."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_BESIDE}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_BESIDE, dir=folder) as beside:
        for name, data in contents.items():
            (Path(beside) / name).write_bytes(data)
        for name in contents:
            (Path(beside) / name).replace(folder / name)


def load_network(source: Path, name: str) -> nn.Module:
    """Reads one network, in eval mode, on the CPU; nothing in the file can run code.

    Args:
        source: folder of a run, or a file with the weights of a network of default widths (`.safetensors`, `.pth`).
        name: one of `NETWORKS`.

    Raises:
        InputError: the network is missing, damaged, or does not fit its architecture.
    """
    if name not in NETWORKS:
        raise ValueError(f"{name}: not one of {', '.join(NETWORKS)}")
    if source.is_file():
        state = read_state_dict(source, f"weights of a network {name!r}", lambda found: _signature(name, found))
        return _build(source, name, _default_architecture(name, state), state)
    document = describe(source)
    if name == "mesh" and name not in document["networks"] and _has(document, name):
        from voxface.training.models.joint_mesh import JointMesh

        return JointMesh.from_networks(load_network(source, "face"), load_network(source, "student")).eval()
    if name not in document["networks"]:
        has = ", ".join(document["networks"]) or "nothing"
        raise InputError(f"{source}: holds {has}, no {name}; make one with {_VERBS[name]}")
    entry = document["networks"][name]
    return _build(source, name, entry["architecture"], _read(source / f"{name}.safetensors", entry.get("sha256")))


def identities_of(folder: Path) -> tuple[str, ...]:
    """Names of the people that the `classifier` of a run tells apart, in the order of its classes.

    Raises:
        InputError: it has none, or its names do not fit its classes; what `describe` raises.
    """
    entry = describe(folder)["networks"].get("classifier")
    if entry is None:
        raise InputError(f"{folder}: holds no classifier; make one with {_VERBS['classifier']}")
    names = entry.get("identities")
    classes = entry["architecture"].get("identities")
    if not isinstance(names, list) or len(set(map(str, names))) != classes or len(names) != classes:
        raise InputError(f"{folder}: not a checkpoint that can be loaded: its classifier has no name for each class")
    return tuple(map(str, names))


def describe(folder: Path) -> dict[str, Any]:
    """Reads `checkpoint.json`; old formats are converted to the present one.

    Returns:
        `networks` (name -> architecture, sha256), `encoder_sha256` where recorded, and the trainer's `about`.

    Raises:
        InputError: no trained networks there, an unfinished run, a newer format, or a damaged file.
    """
    file = folder / ABOUT
    if not file.is_file():
        if any((folder / "checkpoints").glob("step-*")):
            raise InputError(f"{folder}: this training is not finished; go on with `voxface train … --resume`")
        raise InputError(f"{folder}: no checkpoint here ({ABOUT} is missing); give the folder of a finished training")
    try:
        document: dict[str, Any] = json.loads(file.read_text())
        if document.get("format", 1) not in (1, FORMAT):
            raise InputError(f"{file}: format {document['format']}, this voxface reads {FORMAT}; upgrade voxface")
        if not is_intact(document):
            raise InputError(
                f"{file}: not a checkpoint that can be loaded: it is not what was written; fetch it again, or train again"
            )
        if "networks" not in document:
            kept = document["architecture"]
            document["networks"] = {name: {"architecture": kept[name]} for name in BUNDLED}
            document["config"] = {key: value for key, value in kept.items() if key not in BUNDLED}
        if not all(
            name in NETWORKS and dict(e["architecture"]) is not None for name, e in document["networks"].items()
        ):
            raise InputError(f"{file}: names networks this voxface does not know; upgrade voxface")
    except (KeyError, ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise InputError(f"{folder}: not a checkpoint that can be loaded: {ABOUT}: {error!r}") from error
    return document


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's state: names, types, shapes and values, on whatever device."""
    digest = hashlib.sha256()
    for name, value in sorted(_tensors(network).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
        faces = _Faces(self.morphable, self.population, self.face_posterior)
        _save(folder, self._networks(), self.architecture, {**about, "config": other}, faces, None)

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
        faces = _load_faces(sources["mesh"], described[sources["mesh"]].get("files"))
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


# -- internals ----------------------------------------------------------------------------------------------------------------


def _has(document: Mapping[str, Any], name: str) -> bool:
    """Whether a folder holds a network, or the networks it can be made of."""
    networks = document["networks"]
    return name in networks or (name == "mesh" and "face" in networks and "student" in networks)


def _architecture(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    networks = document["networks"]
    if name in networks:
        return dict(networks[name]["architecture"])
    student = dict(networks["student"]["architecture"])
    coefficients = student.pop("coefficients")
    return {"kind": "joint", "coefficients": coefficients, **networks["face"]["architecture"], "student": student}


def _sources(described: Mapping[Path, Mapping[str, Any]]) -> dict[str, Path]:
    """The folder of each network of a bundle."""
    sources: dict[str, Path] = {}
    for name in BUNDLED:
        having = [folder for folder, document in described.items() if _has(document, name)]
        if not having:
            given = ", ".join(str(folder) for folder in described) or "what was given"
            raise InputError(f"{given}: no {name} network there; make one with {_VERBS[name]} and give its folder too")
        hashes = {described[folder]["networks"].get(name, {}).get("sha256", str(folder)) for folder in having}
        if len(hashes) > 1:
            raise InputError(f"{' and '.join(map(str, having))}: each holds another {name} network; leave one out")
        sources[name] = having[0]
    return sources


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


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("format", "networks", "files", "seal", "encoder_sha256", "architecture", "name", "version", "description")
    return {key: value for key, value in document.items() if key not in kept}


def _build(source: Path, name: str, architecture: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """A network of this architecture with these weights, in eval mode."""
    try:
        network = _make(name, architecture)
        network.load_state_dict(dict(state))
    except (KeyError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()]
        raise InputError(
            f"{source}: not a checkpoint that can be loaded: {name} does not fit its architecture ({' '.join(lines[:2])})"
        ) from error
    return network.eval()


def _make(name: str, architecture: Mapping[str, Any]) -> nn.Module:
    """An untrained network of this architecture."""
    arguments: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in architecture.items()}
    if name in ("expert", "student"):
        from voxface.training.models.experts.own import ImageToFace

        return ImageToFace(**arguments)
    if name in CRITICS:
        return _make_critic(name, arguments)
    kind = arguments.pop("kind", None)
    if kind == "joint":
        from voxface.training.models.joint_mesh import JointMesh

        return JointMesh(**arguments)
    if kind == "shrunk":
        return ShrunkMesh(arguments["coefficients"], MeshRegressor(**arguments))
    made: nn.Module = {"encoder": VoiceEncoder, "face": FaceGenerator, "mesh": MeshRegressor}[name](**arguments)
    return made


def _make_critic(name: str, arguments: dict[str, Any]) -> nn.Module:
    """A network of a GAN's critics; its weights are those behind spectral normalisation, where it had some."""
    made: nn.Module = {"critic": FaceEmbedding, "discriminator": Discriminator, "classifier": Classifier}[name](
        **arguments
    )
    return made


def _default_architecture(name: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Architecture of a network in a bare file: default widths, and as many coefficients as its last layer gives."""
    if name == "mesh":
        hidden = "model.3.weight" in state
        last = state.get("model.3.weight" if hidden else "model.1.weight")
        return {"coefficients": 0 if last is None else len(last), **({} if hidden else {"hidden": 0})}
    if name in ("expert", "student"):
        return {"coefficients": len(state.get("shape.1.weight", ()))}
    if name == "classifier":
        weight = state.get("model.0.weight")
        return {"identities": 0 if weight is None else len(weight)}
    return {}


def _read(file: Path, sha256: str | None) -> dict[str, Tensor]:
    from safetensors.torch import load

    data = read_bytes(file)
    try:
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("it does not match the SHA-256 in checkpoint.json, so it is damaged or another run's")
        state: dict[str, Tensor] = load(data)
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: not a checkpoint that can be loaded: {reason(error)}") from error
    return state


def _signature(name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether weights are a network of this name, by one that it has."""
    first, dimensions = {
        "encoder": ("model.0.weight", 3),
        "face": ("model.0.weight", 4),
        "mesh": ("model.1.weight", 2),
        "critic": ("model.0.weight", 4),
        "discriminator": ("model.0.weight", 2),
        "classifier": ("model.0.weight", 2),
    }.get(name, ("shape.1.weight", 2))
    return first in state and state[first].ndim == dimensions


def _load_faces(folder: Path, hashes: Mapping[str, str] | None) -> _Faces:
    """What the folder knows of faces; `hashes`: SHA-256 of each file, None where a version recorded none."""

    def read(name: str) -> bytes:
        data = (folder / name).read_bytes()
        if hashes is not None and hashlib.sha256(data).hexdigest() != hashes[name]:
            raise InputError(
                f"{folder / name}: not a checkpoint that can be loaded: it does not match the SHA-256 in {ABOUT}, so it is "
                "damaged or another run's"
            )
        return data

    try:
        morphable = MorphableModel.from_bytes(read(MORPHABLE))
        known = (folder / POPULATION).is_file() if hashes is None else POPULATION in hashes
        population = FacePopulation.from_bytes(read(POPULATION)) if known else None
        posterior = read(FACE_POSTERIOR) if hashes is not None and FACE_POSTERIOR in hashes else None
        if posterior is not None and read_face_posterior(posterior).modes != morphable.identity_modes:
            raise BundleError(f"{FACE_POSTERIOR} is of other faces than {MORPHABLE}")
        return _Faces(morphable, population, posterior)
    except (OSError, KeyError, TypeError, BundleError) as error:
        raise InputError(f"{folder}: not a checkpoint that can be loaded: {error}") from error


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """State of a network on the CPU, without its wrappers."""
    while isinstance(network, Frozen):
        network = network.module
    if type(network).__module__.split(".")[0] in ("lightning_fabric", "lightning"):
        from voxface.training.engine.run import bare

        network = bare(network)
    return {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}


def _plain(value: Any) -> Any:
    """Value as JSON: dataclasses as objects, NaN and infinity as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | Tensor):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset | Iterator):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
