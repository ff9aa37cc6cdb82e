"""From networks in PyTorch to a bundle that runs without it: trained networks, exported, and used.

    pip install ".[train]"
    python examples/06_export.py [--out mine.voxface]

The networks here are small and have learnt nothing: their faces are noise. Networks of `voxface train` go the same way,
by `voxface export runs/encoder runs/gan runs/mesh --out mine.voxface`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import voxface


def checkpoint(folder: Path) -> None:
    """Writes a checkpoint as a training does."""
    import torch

    from voxface.training.engine.bundle_networks import TrainedNetworks
    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder

    torch.manual_seed(0)
    model = voxface.Bundle.open().morphable
    TrainedNetworks(
        encoder=VoiceEncoder(channels=(32, 48, 64, 96)),
        face=FaceGenerator(channels=(64, 32, 16, 16, 8), kernel="k3"),
        mesh=MeshRegressor(model.modes),
        morphable=model,
        name="small",
        version="1",
        licence="none",
        description="untrained, an example",
        trained_on=[],
        architecture={
            "encoder": {"channels": [32, 48, 64, 96]},
            "face": {"channels": [64, 32, 16, 16, 8], "kernel": "k3"},
            "mesh": {"coefficients": model.modes},
        },
    ).save(folder)


def export(folder: Path, out: Path) -> voxface.Bundle:
    """Every network to ONNX, each compared with PyTorch before anything is written; with manifest and model card."""
    from voxface.export.bundle_export import export_bundle
    from voxface.training.engine.bundle_networks import TrainedNetworks

    return export_bundle(TrainedNetworks.load(folder), out)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, help="the bundle to write, NAME.voxface (in a temporary folder)")
    options = parser.parse_args()
    if options.out is not None and options.out.exists():
        print(f"{options.out}: is there already; choose another name", file=sys.stderr)
        return voxface.UsageError.exit_code
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "checkpoint", options.out or Path(temporary) / "small.voxface"
        try:
            checkpoint(folder)
            bundle = export(folder, out)
        except ModuleNotFoundError as error:
            print(f"export needs {error.name}; pip install '.[train]'", file=sys.stderr)
            return voxface.ProviderError.exit_code
        except voxface.VoxfaceError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        for name, worst in bundle.manifest.to_json()["precision"]["largest_difference_from_pytorch"].items():
            print(f"{name:<14} differs from PyTorch by {worst:.2g} at most")
        with voxface.VoiceToFace(out) as voice_to_face:  # torch is of no use from here on
            _, estimate = voice_to_face.estimate_file(Path(__file__).parent / "sample_male.flac")
        print(f"{out.name}: picture {estimate.image.shape}, mesh of {len(estimate.vertices)} vertices")
    return 0


if __name__ == "__main__":
    sys.exit(main())
