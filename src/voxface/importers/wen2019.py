"""The published networks of Wen 2019, or others of their layout, as a bundle.

Each file is the state dict of one `nn.Sequential` called `model`: a voice embedding network of five 1-D convolutions, or a
generator of transposed 2-D ones. Widths are taken from the file, which may hold the weights in any form that people save them
in (`training.foreign.state_dicts`); no code in it is run. Wen 2019 has no mesh network. The mesh is the mean face of the
population or, given speech of speakers whose sex is known, the mean face of the sex that is heard (`sex_head`).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from voxface.export.bundle_export import export_bundle
from voxface.importers.sex_head import HeardVoices, agreement_by_speaker, fit_sex_line, mean_face, mean_face_of_the_sex
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.origin_entries import ImportedEntry, ImportedFile
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import InputError
from voxface.runtime.files.regular import read_bytes
from voxface.training.data.speech_corpus import Recording
from voxface.training.engine.bundle_networks import TrainedNetworks
from voxface.training.faces.population import FacePopulation
from voxface.training.foreign.state_dicts import read_state_dict
from voxface.training.models import FaceGenerator, VoiceEncoder
from voxface.training.models.face_generator import picture_size

MEAN_FACE: Final = "mean face; the published checkpoint has no mesh network"
_ENCODER: Final = "voice embedding network"
_GENERATOR: Final = "face generator"
_FIRST: Final = "model.0.weight"
_FRAMES: Final = 320  # log-mel frames of the trial, ten columns of the published network
_LARGEST_PICTURE: Final = 1024  # pixels along a side; more layers would take memory that no picture is worth
_LIMITS: Final = (
    "The voice embedding network and the face generator were imported as they are; voxface has not trained them and knows "
    "only what their files hold.",
)


def read_encoder(path: Path) -> tuple[VoiceEncoder, dict[str, Any]]:
    """A voice embedding network, in eval mode, and its architecture.

    Raises:
        InputError: the file is unreadable or unsafe, holds another network or NaN, or its weights do not fit each other.
    """
    state = _state(path, 3, _ENCODER)
    weights = _chain(path, state, 3, 3, _ENCODER)
    mels = FrontEndConfig().mels
    if weights[0].shape[1] != mels:
        raise InputError(f"{path}: takes {weights[0].shape[1]} mel bins, the front end of Wen 2019 makes {mels}")
    if any(weight.shape[2] != 3 for weight in weights):
        raise InputError(f"{path}: its convolutions are not 3 wide, as those of Wen 2019's {_ENCODER} are")
    widths = [len(weight) for weight in weights]
    architecture: dict[str, Any] = {"mels": mels, "channels": tuple(widths[:-1]), "embedding": widths[-1]}
    network = VoiceEncoder(**architecture)
    _fill(path, network, state, _ENCODER)
    if any(bool((value < 0).any()) for name, value in network.state_dict().items() if name.endswith("running_var")):
        raise InputError(f"{path}: a variance of its batch normalisation is negative; the file is damaged")
    _try(path, network.eval(), torch.randn((1, mels, _FRAMES), generator=torch.Generator().manual_seed(0)))
    return network, architecture


def read_generator(path: Path) -> tuple[FaceGenerator, dict[str, Any]]:
    """A face generator, in eval mode, and its architecture.

    Raises:
        InputError: as `read_encoder`.
    """
    state = _state(path, 4, _GENERATOR)
    weights = _chain(path, state, 4, 2, _GENERATOR)
    kernels = [tuple(weight.shape[2:]) for weight in weights]
    doublings = set(kernels[1:-1])
    if kernels[0] != (4, 4) or kernels[-1] != (1, 1) or doublings not in (set(), {(4, 4)}, {(3, 3)}):
        sizes = ", ".join("×".join(map(str, kernel)) for kernel in kernels)
        raise InputError(
            f"{path}: kernels are {sizes}; Wen 2019's {_GENERATOR} has 4×4, then 4×4 (or 3×3) each, then 1×1"
        )
    if weights[-1].shape[1] != 3:
        raise InputError(f"{path}: makes pictures of {weights[-1].shape[1]} channels, not 3")
    channels = tuple(weight.shape[1] for weight in weights[:-1])
    side = picture_size(channels)
    if side > _LARGEST_PICTURE:
        raise InputError(f"{path}: makes pictures of {side}×{side}, more than {_LARGEST_PICTURE}; Wen 2019's are 64×64")
    architecture: dict[str, Any] = {
        "embedding": len(weights[0]),
        "channels": channels,
        "kernel": "k3" if doublings == {(3, 3)} else "k4",
    }
    network = FaceGenerator(**architecture)
    _fill(path, network, state, _GENERATOR)
    _try(path, network.eval(), torch.full((1, len(weights[0])), len(weights[0]) ** -0.5))
    return network, architecture


def import_wen2019(
    voice: Path,
    generator: Path,
    base: Bundle,
    out: Path,
    *,
    recordings: Sequence[Recording] = (),
    done: Callable[[], None] = lambda: None,
) -> Bundle:
    """Writes a bundle with these networks and the faces of `base` (a zip if `out` ends in `.voxface`, else a folder).

    Args:
        voice: file of the voice embedding network.
        generator: file of the face generator.
        base: bundle whose faces are used.
        out: the file or folder to write.
        recordings: speech of speakers whose sex is known; with it, the mesh is the mean face of the sex heard. Held-out
            speakers are measured on and not learnt from.
        done: called after each recording.

    Raises:
        InputError: a file that cannot be used, files that do not go together, or too few speakers.
    """
    encoder, encoder_architecture = read_encoder(voice)
    face, face_architecture = read_generator(generator)
    width = encoder_architecture["embedding"]
    if face_architecture["embedding"] != width:
        raise InputError(
            f"{voice} gives embeddings of {width} numbers, {generator} takes {face_architecture['embedding']}: they were "
            "not trained together"
        )
    model = base.morphable
    metrics: dict[str, Any] = {}
    if recordings:
        learnt = HeardVoices.from_recordings(encoder, [r for r in recordings if not r.held_out], done)
        line = fit_sex_line(learnt)
        mesh, mesh_architecture = mean_face_of_the_sex(model, line)
        what = (
            f"mean face of the sex heard, by ridge regression on the embeddings of {line.speakers} speakers; "
            "the published checkpoint has no mesh network"
        )
        metrics = {"sex_agreement_cross_validated": line.agreement, "trivial": {"sex_agreement_chance": 0.5}}
        aside = HeardVoices.from_recordings(encoder, [r for r in recordings if r.held_out], done)
        if aside.speakers:
            metrics |= {
                "sex_agreement_held_out": agreement_by_speaker(line(aside.embeddings), aside),
                "held_out_speakers": len(set(aside.speakers)),
            }
    else:
        mesh, mesh_architecture = mean_face(model, width)
        what = MEAN_FACE
    spread = base.manifest.population
    checkpoint = TrainedNetworks(
        encoder=encoder,
        face=face,
        mesh=mesh,
        morphable=model,
        population=FacePopulation.from_bytes(base.files[spread.file]) if spread else None,
        name="wen2019",
        version="1",
        licence=f"networks: whatever their authors ask (Wen 2019's code is GPL-3.0); faces: {model.licence}",
        description=(f"Voice embedding network and face generator of Wen et al. 2019, imported. Its mesh: {what}."),
        trained_on=[
            "networks: by their authors; those of Wen et al. 2019 on VoxCeleb voices and VGGFace pictures",
            *([f"mesh: sex of {line.speakers} speakers of the speech given"] if recordings else []),
        ],
        metrics=metrics,
        architecture={"encoder": encoder_architecture, "face": face_architecture, "mesh": mesh_architecture},
    )
    imported = ImportedEntry(
        format="wen2019",
        mesh=what,
        encoder=ImportedFile(file=voice.name, sha256=hashlib.sha256(read_bytes(voice)).hexdigest()),
        generator=ImportedFile(file=generator.name, sha256=hashlib.sha256(read_bytes(generator)).hexdigest()),
    )
    says = (
        f"The mesh is the {what}." if recordings else "The mesh and what is read off it (sex, face type, measurements) "
    )
    heard = says if recordings else f"{says}are the same for every voice: {what}."
    return export_bundle(checkpoint, out, imported=imported, limits=[*_LIMITS, heard])


def _state(path: Path, dimensions: int, wanted: str) -> dict[str, Tensor]:
    """The weights of a file as `model.0.weight` and so on; `dimensions` are those of a convolution's weight."""

    def fits(state: Mapping[str, Tensor]) -> bool:
        first = _placed(state).get(_FIRST)
        return first is not None and first.ndim == dimensions

    return _placed(read_state_dict(path, wanted, fits))


def _placed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under their names where the network is an attribute `model` of a module, as in the published code.

    Whoever saved the sequence alone has no `model.` before the numbers, and whoever saved a module that has this one as its
    part has more before it.
    """
    if _FIRST in state:
        return dict(state)
    if all(name.split(".")[0].isdigit() for name in state):
        return {f"model.{name}": value for name, value in state.items()}
    first = next((name for name in state if name.endswith(f".{_FIRST}")), "")
    before = first.removesuffix(_FIRST)
    if before and all(name.startswith(before) for name in state):
        return {name.removeprefix(before): value for name, value in state.items()}
    return dict(state)


def _chain(path: Path, state: Mapping[str, Tensor], dimensions: int, spacing: int, wanted: str) -> list[Tensor]:
    """The weights of the convolutions in order; each must take as many channels as the one before gives.

    Args:
        path: the file, for error messages.
        state: the tensors of the file.
        dimensions: number of dimensions of a weight.
        spacing: distance from one convolution to the next in the sequence.
        wanted: the kind of network, for error messages.
    """
    first = state.get(_FIRST)
    if first is None:
        raise InputError(f"{path}: no {wanted} of Wen 2019: {_FIRST} is missing (it has {_some(state)})")
    if first.ndim != dimensions:
        pictures = first.ndim == 4 and first.shape[-1] == 1
        if first.ndim < 3:
            raise InputError(f"{path}: no {wanted}: {_FIRST} is {list(first.shape)}, no weight of a convolution")
        kind = {3: _ENCODER, 4: "network of pictures" if pictures else _GENERATOR}.get(first.ndim)
        swapped = kind in (_ENCODER, _GENERATOR)
        hint = "; are the two files swapped? The voice embedding network comes first, then the generator" * swapped
        raise InputError(f"{path}: no {wanted}: these are weights of a {kind or 'network of another kind'}{hint}")
    weights: list[Tensor] = []
    while (weight := state.get(f"model.{spacing * len(weights)}.weight")) is not None:
        weights.append(weight)
    if len(weights) < 2 or any(weight.ndim != dimensions for weight in weights):
        raise InputError(f"{path}: no {wanted} of Wen 2019: its layers are other ones (it has {_some(state)})")
    empty = next((k for k, weight in enumerate(weights) if not weight.numel()), None)
    if empty is not None:
        raise InputError(
            f"{path}: model.{spacing * empty}.weight is {list(weights[empty].shape)}, without a number in it"
        )
    # A transposed convolution's weight is [in, out, …], the other's [out, in, …].
    give, take = (1, 0) if dimensions == 4 else (0, 1)
    for k in range(1, len(weights)):
        before, now = weights[k - 1].shape[give], weights[k].shape[take]
        if before != now:
            raise InputError(
                f"{path}: model.{spacing * k}.weight takes {now} channels, the layer before gives {before}; "
                "the file is no whole network"
            )
    return weights


def _fill(path: Path, network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Copies the weights into a network.

    Raises:
        InputError: a weight is missing, superfluous, of another shape, or not finite.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise InputError(f"{path}: not all of a {what}: {_some(missing)} missing")
    strange = [name for name in state if name not in wanted]
    if strange:
        raise InputError(f"{path}: more than a {what} of Wen 2019: {_some(strange)}")
    for name, value in state.items():
        if value.shape != wanted[name].shape:
            raise InputError(f"{path}: {name} is {list(value.shape)}, a {what} has {list(wanted[name].shape)} there")
        if wanted[name].is_floating_point() and not value.is_floating_point():
            raise InputError(f"{path}: {name} holds {_type(value)}, not real numbers; is it quantised?")
        if not bool(torch.isfinite(value.to(wanted[name].dtype)).all()):
            raise InputError(f"{path}: {name} holds NaN, infinity or numbers too large for FP32; the file is damaged")
    network.load_state_dict({**wanted, **state})


def _try(path: Path, network: nn.Module, example: Tensor) -> None:
    """Runs the network once: weights may each be finite and yet too large together."""
    with torch.no_grad():
        outputs = network(example)
    if not all(bool(torch.isfinite(out).all()) for out in (outputs if isinstance(outputs, tuple) else (outputs,))):
        raise InputError(
            f"{path}: gives NaN or infinity for an ordinary input; its weights are too large, the file is damaged"
        )


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _some(names: Mapping[str, Any] | Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    found = list(names)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
