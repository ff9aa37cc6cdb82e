"""A checkpoint becomes a bundle: three verified graphs, the morphable model and the manifest."""

from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from voxface.export.onnx_graphs import compare, embedding_spec, encoder_spec, round_to_half, signature, to_onnx
from voxface.runtime.bundle import SUFFIX, Bundle, write_folder, write_zip
from voxface.runtime.errors import InputError
from voxface.runtime.features import FrontEndConfig
from voxface.runtime.vad import VadConfig
from voxface.training.checkpoint import Checkpoint

# How far a graph may be from PyTorch with the same weights.
TOLERANCES = {"embedding": 1e-4, "image": 1e-3, "coefficients": 1e-3}


def export_bundle(checkpoint: Checkpoint, out: Path, *, half_storage: bool = False) -> Bundle:
    """Writes a bundle (a zip if `out` ends in `.voxface`, else a folder) and opens it again, which verifies it.

    Raises:
        InputError: a graph differs from PyTorch by more than its tolerance; nothing is written then.
    """
    parts = {
        "encoder": (checkpoint.encoder, encoder_spec()),
        "face": (checkpoint.face, embedding_spec("image")),
        "mesh": (checkpoint.mesh, embedding_spec("coefficients")),
    }
    files: dict[str, bytes] = {"morphable.npz": checkpoint.morphable.to_bytes()}
    population: dict[str, Any] = {}
    if checkpoint.population is not None:
        files["population.npz"] = checkpoint.population.to_bytes()
        population = {"population": {"file": "population.npz"}}
    graphs: dict[str, Any] = {}
    errors: dict[str, float] = {}
    rounding: dict[str, float] = {}
    for name, (network, spec) in parts.items():
        stored = round_to_half(network) if half_storage else network
        data, worst = to_onnx(stored, spec, half_storage=half_storage)
        for output, error in worst.items():
            if error > TOLERANCES.get(output, float("inf")):
                raise InputError(
                    f"{name}: {output} of the ONNX graph is {error:.2g} away from PyTorch, more than "
                    f"{TOLERANCES[output]:.0e}; this is a fault of the exporter, please report it with the torch version"
                )
        errors |= worst
        rounding |= compare(network, data, spec)
        files[f"{name}.onnx"] = data
        graphs[name] = {"file": f"{name}.onnx", **signature(data)}
    manifest = {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "licence": checkpoint.licence,
        "description": checkpoint.description,
        "trained_on": checkpoint.trained_on,
        "metrics": checkpoint.metrics,
        "architecture": checkpoint.architecture,
        "front_end": asdict(FrontEndConfig()),
        "vad": asdict(VadConfig()),
        "graphs": graphs,
        "morphable_model": {"file": "morphable.npz", "provenance": checkpoint.morphable.provenance},
        **population,
        "precision": {
            "storage": "float16" if half_storage else "float32",
            "arithmetic": "float32",
            "largest_difference_from_pytorch": errors,
            "largest_difference_from_float32_weights": rounding,
        },
        "tools": {name: metadata.version(name) for name in ("voxface", "torch", "onnx", "onnxscript")},
    }
    (write_zip if out.suffix == SUFFIX else write_folder)(out, manifest, files)
    return Bundle.open(out)
