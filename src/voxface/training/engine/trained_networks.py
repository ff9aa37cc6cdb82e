"""Trained networks on disk, with their architecture and provenance: the result of one run.

A folder holds

    checkpoint.json        format, the networks with their architecture, what they were trained on, metrics; SHA-256 of every
                           file, and of itself (seal)
    NAME.safetensors       weights of each network: encoder, face, mesh, expert, student, and of a GAN its critics: the face
                           embedding network `critic` and its heads `discriminator` and `classifier` (Wen 2019, Table 2)
    morphable.npz          the morphable model, where a network gives coefficients
    population.npz         distribution of faces within each sex (where known)
    face_posterior.npz     distribution of faces given a voice (of a mesh network, where it could be fitted)

One run gives some of the networks; `bundle_networks` takes a bundle's from several runs. A face or mesh network works only
with the voice encoder it was trained with, so its run records that encoder's SHA-256. (Checkpoints of a run that is under way:
`checkpoint`.)
"""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR
from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.files.sealed_json import is_intact, sealed
from voxface.training.engine.network_building import build_network, default_architecture, has_weights_of
from voxface.training.engine.trained_faces import POPULATION, TrainedFaces
from voxface.training.foreign.state_dicts import read_state_dict
from voxface.training.models.frozen import Frozen

if TYPE_CHECKING:
    from voxface.training.data.pairs import Pairs

FORMAT: Final = 2  # format 1, which had no number, held all three networks of a bundle, without hashes
ABOUT: Final = "checkpoint.json"
CRITICS: Final = ("critic", "discriminator", "classifier")
NETWORKS: Final = ("encoder", "face", "mesh", "expert", "student", *CRITICS)
BUNDLED: Final = ("encoder", "face", "mesh")
_BESIDE: Final = ".networks-"
_COEFFICIENTS: Final = ("mesh", "expert", "student")
MADE_BY: Final = {
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
    faces = (
        TrainedFaces(pairs.morphable, pairs.population, face_posterior) if gives_faces and pairs is not None else None
    )
    write_networks(folder, networks, architecture, about, faces, encoder, identities)


def write_networks(
    folder: Path,
    networks: Mapping[str, nn.Module],
    architecture: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    faces: TrainedFaces | None,
    encoder: nn.Module | None,
    identities: Sequence[str] = (),
) -> None:
    """Writes networks as `save_networks` does, with what is known of their faces.

    Args:
        faces: written beside networks that give coefficients; None: not known, and what lies there stays.
    """
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
        state = read_state_dict(source, f"weights of a network {name!r}", lambda found: has_weights_of(name, found))
        return build_network(source, name, default_architecture(name, state), state)
    document = describe(source)
    if name == "mesh" and name not in document["networks"] and has_network(document, name):
        from voxface.training.models.joint_mesh import JointMesh

        return JointMesh.from_networks(load_network(source, "face"), load_network(source, "student")).eval()
    if name not in document["networks"]:
        has = ", ".join(document["networks"]) or "nothing"
        raise InputError(f"{source}: holds {has}, no {name}; make one with {MADE_BY[name]}")
    entry = document["networks"][name]
    return build_network(
        source, name, entry["architecture"], _read(source / f"{name}.safetensors", entry.get("sha256"))
    )


def identities_of(folder: Path) -> tuple[str, ...]:
    """Names of the people that the `classifier` of a run tells apart, in the order of its classes.

    Raises:
        InputError: it has none, or its names do not fit its classes; what `describe` raises.
    """
    entry = describe(folder)["networks"].get("classifier")
    if entry is None:
        raise InputError(f"{folder}: holds no classifier; make one with {MADE_BY['classifier']}")
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


def has_network(document: Mapping[str, Any], name: str) -> bool:
    """Whether a folder holds a network, or the networks it can be made of."""
    networks = document["networks"]
    return name in networks or (name == "mesh" and "face" in networks and "student" in networks)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's state: names, types, shapes and values, on whatever device."""
    digest = hashlib.sha256()
    for name, value in sorted(_tensors(network).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
