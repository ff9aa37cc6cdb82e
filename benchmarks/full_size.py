"""The papers' networks at full size, or with another generator. Weights are random, from one seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxface.runtime.bundle.bundle import Bundle


def networks(face: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Voice encoder (2.67 M parameters), face generator and mesh decoder, in eval mode.

    Args:
        face: architecture of the generator; None: the published one, of 12.19 M parameters.
    """
    import torch

    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

    torch.manual_seed(0)
    modes = Bundle.open().morphable.modes
    found = {"encoder": VoiceEncoder(), "face": FaceGenerator(**(face or {})), "mesh": MeshRegressor(modes)}
    return {name: network.eval() for name, network in found.items()}


def default_generator() -> dict[str, Any]:
    """The architecture of the default bundle's generator."""
    found: dict[str, Any] = dict((Bundle.open().manifest.architecture or {})["face"])
    return {**found, "channels": tuple(found["channels"])}


def write_bundle(folder: Path, nets: dict[str, Any]) -> Bundle:
    """The default bundle with these networks in the places of its own.

    Its trained parts stay: they were fitted to another encoder, but the work they make is the same.
    """
    from voxface.export.onnx_export import embedding_spec, encoder_spec, graph_entry, to_onnx

    base = Bundle.open()
    specs = (encoder_spec(), embedding_spec("image"), embedding_spec("coefficients"))
    graphs = {name: to_onnx(network, spec)[0] for (name, network), spec in zip(nets.items(), specs, strict=True)}
    # Of their own, since these pictures have 64 px.
    entries = {name: graph_entry(base.manifest.graphs[name].file, data) for name, data in graphs.items()}
    files = {entries[name].file: data for name, data in graphs.items()}
    return base.replacing(files=files, graphs=entries).write(folder)
