"""The papers' networks at full size. Their weights are random, from one seed: the time they take does not depend on weights."""

from pathlib import Path
from typing import Any

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.writer import write_folder


def networks(channels: tuple[int, ...] = (1024, 512, 256, 128, 64)) -> dict[str, Any]:
    """Voice encoder (2.67 M parameters), face generator (12.19 M with these widths, k4) and mesh decoder, in eval mode."""
    import torch

    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

    torch.manual_seed(0)
    modes = Bundle.open().morphable.modes
    found = {"encoder": VoiceEncoder(), "face": FaceGenerator(channels=channels), "mesh": MeshRegressor(modes)}
    return {name: network.eval() for name, network in found.items()}


def write_bundle(folder: Path, nets: dict[str, Any]) -> Bundle:
    """Writes the default bundle with its networks replaced by these."""
    from voxface.export.onnx_export import embedding_spec, encoder_spec, to_onnx

    base = Bundle.open()
    specs = (encoder_spec(), embedding_spec("image"), embedding_spec("coefficients"))
    files = dict(base.files)
    for (name, network), spec in zip(nets.items(), specs, strict=True):
        files[base.manifest["graphs"][name]["file"]], _ = to_onnx(network, spec)
    return rewritten(folder, base, files)


def rewritten(folder: Path, base: Bundle, files: dict[str, bytes]) -> Bundle:
    """Writes `base` with some files replaced, as a folder."""
    write_folder(folder, {k: v for k, v in base.manifest.items() if k not in ("schema", "files", "sha256")}, files)
    return Bundle.open(folder)
