"""A bundle made of a checkpoint: three graphs compared with PyTorch, the morphable model, the model card, the manifest."""

import hashlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from voxface.export.model_card import CARD, model_card
from voxface.export.onnx_export import (
    compare_with_torch,
    embedding_spec,
    encoder_spec,
    graph_entry,
    round_to_fp16,
    to_onnx,
)
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR
from voxface.runtime.bundle.file_entries import FileReference
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.bundle.json_record import Settings
from voxface.runtime.bundle.manifest import FacePosteriorEntry, Manifest, MorphableModelEntry, SexProbabilityEntry
from voxface.runtime.bundle.origin_entries import ImportedEntry
from voxface.runtime.bundle.precision_entries import PrecisionEntry
from voxface.runtime.bundle.writer import write_bundle
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import InputError
from voxface.runtime.version import __version__
from voxface.training.engine.bundle_networks import TrainedNetworks

# Output -> largest difference allowed between the ONNX graph and PyTorch with the same weights.
TOLERANCES = {"embedding": 1e-4, "image": 1e-3, "coefficients": 1e-3}


def export_bundle(
    checkpoint: TrainedNetworks,
    out: Path,
    *,
    fp16_storage: bool = False,
    imported: ImportedEntry | None = None,
    limits: Sequence[str] = (),
    report: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Bundle:
    """Writes a bundle (a zip if `out` ends in `.voxface`, else a folder) and opens it again, which verifies it.

    Args:
        checkpoint: the trained networks and their morphable model.
        out: the file or folder to write.
        fp16_storage: store large weights as FP16; the arithmetic stays FP32.
        imported: published networks that these are, where they were not trained here.
        limits: lines that the model card puts first under "Limits".
        report: told how many of how many networks are done, and which one is next.

    Raises:
        InputError: networks that do not go together, or a graph that differs from PyTorch by more than its tolerance;
            nothing is written then.
    """
    size = _embedding_size(checkpoint)
    parts = {
        "encoder": (checkpoint.encoder, encoder_spec()),
        "face": (checkpoint.face, embedding_spec("image", size)),
        "mesh": (checkpoint.mesh, embedding_spec("coefficients", size)),
    }
    files: dict[str, bytes] = {"morphable.npz": checkpoint.morphable.to_bytes()}
    if checkpoint.population is not None:
        files["population.npz"] = checkpoint.population.to_bytes()
    if checkpoint.face_posterior is not None:
        files[FACE_POSTERIOR] = checkpoint.face_posterior
    graphs: dict[str, GraphEntry] = {}
    errors: dict[str, float] = {}
    rounding: dict[str, float] = {}
    for number, (name, (network, spec)) in enumerate(parts.items()):
        report(number, len(parts), name)
        stored = round_to_fp16(network) if fp16_storage else network
        data, worst = to_onnx(stored, spec, fp16_storage=fp16_storage)
        for output, error in worst.items():
            if error > TOLERANCES.get(output, float("inf")):
                raise InputError(
                    f"{name}: {output} of the ONNX graph is {error:.2g} away from PyTorch, more than "
                    f"{TOLERANCES[output]:.0e}; this is a fault of the exporter, please report it with the torch version"
                )
        errors |= worst
        rounding |= compare_with_torch(network, data, spec)
        files[f"{name}.onnx"] = data
        graphs[name] = graph_entry(f"{name}.onnx", data)
    posterior = None
    if FACE_POSTERIOR in files:
        fitted_to = hashlib.sha256(files["mesh.onnx"]).hexdigest()
        posterior = FacePosteriorEntry(file=FACE_POSTERIOR, mesh_sha256=fitted_to)
    manifest = Manifest(
        name=checkpoint.name or out.stem,
        version=checkpoint.version or "1",
        licence=checkpoint.licence,
        description=checkpoint.description or _description(checkpoint),
        trained_on=tuple(checkpoint.trained_on),
        metrics=checkpoint.metrics,
        architecture=checkpoint.architecture,
        front_end=Settings.complete(FrontEndConfig(normalisation=checkpoint.encoder.normalisation)),
        vad=Settings.complete(VadConfig()),
        graphs=graphs,
        morphable_model=MorphableModelEntry(file="morphable.npz", provenance=checkpoint.morphable.provenance),
        population=FileReference(file="population.npz") if checkpoint.population is not None else None,
        calibration=_sex_probability(checkpoint),
        face_posterior=posterior,
        training={name: part["config"] for name, part in checkpoint.parts.items() if part.get("config")},
        precision=PrecisionEntry(
            storage="float16" if fp16_storage else "float32",
            arithmetic="float32",
            largest_difference_from_pytorch=errors,
            largest_difference_from_float32_weights=rounding,
        ),
        tools={"voxface": __version__, **{name: metadata.version(name) for name in ("torch", "onnx", "onnxscript")}},
        model_card=FileReference(file=CARD),
        imported=imported,
    )
    said = [str(line) for part in checkpoint.parts.values() for line in part.get("limits", [])]
    files[CARD] = model_card(manifest, checkpoint.morphable, [*limits, *said]).encode()
    write_bundle(out, manifest, files)
    return Bundle.open(out)


def _sex_probability(checkpoint: TrainedNetworks) -> SexProbabilityEntry | None:
    """The manifest entry with the sex slope that the run of the mesh network has found; None if it found none."""
    found = next(
        (part.get("calibration") for name, part in checkpoint.parts.items() if "mesh" in name.split("+")), None
    )
    if not found:
        return None
    try:
        return SexProbabilityEntry.from_json(found, "calibration")
    except ValueError as error:
        raise InputError(f"the run of the mesh network: {error}; train it again") from error


def _embedding_size(checkpoint: TrainedNetworks) -> int:
    """Length of the embedding, on which all three networks have to agree.

    Raises:
        InputError: they do not agree, or the encoder does not take the front end's features.
    """
    layers: Any = checkpoint.encoder.model
    mels, size = layers[0].in_channels, layers[-1].out_channels
    if mels != FrontEndConfig().mels:
        raise InputError(f"encoder: takes {mels} mel bins, the front end makes {FrontEndConfig().mels}")
    for name in ("face", "mesh"):
        wanted = checkpoint.architecture.get(name, {}).get("embedding", 64)
        if wanted != size:
            raise InputError(f"{name}: takes embeddings of {wanted} numbers, the encoder gives {size}")
    return int(size)


def _description(checkpoint: TrainedNetworks) -> str:
    mesh = "generator and student" if checkpoint.architecture.get("mesh", {}).get("kind") == "joint" else "regression"
    return (
        f"Trained with `voxface train`. Its faces are of the morphable model {checkpoint.morphable.name}, found by {mesh} "
        "from the voice embedding."
    )
