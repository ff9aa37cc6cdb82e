"""`voxface export`: a trained checkpoint to ONNX and a bundle."""

import argparse
from pathlib import Path

from voxface.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("checkpoint", type=Path, help="folder of a trained checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="bundle to write: NAME.voxface, or a folder")
    parser.add_argument(
        "--storage",
        choices=("float32", "float16"),
        default="float32",
        help="precision weights are stored in; arithmetic is float32 either way (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def run(options: argparse.Namespace) -> int:
    """Exports; prints the bundle's description."""
    from voxface.runtime.errors import ProviderError, UsageError

    if options.out.exists() and not (options.out / "bundle.json").is_file() and not options.out.is_file():
        raise UsageError(f"--out {options.out}: is there already and is no bundle; choose another name")
    try:
        from voxface.export.bundle_export import export_bundle
        from voxface.training.checkpoint import Checkpoint
    except ImportError as error:
        raise ProviderError(f"export needs {error.name}; pip install 'voxface[train]' -c constraints.txt") from error
    from voxface.cli.bundle import info

    bundle = export_bundle(Checkpoint.load(options.checkpoint), options.out, half_storage=options.storage == "float16")
    if options.json:
        print_json(info(bundle))
    else:
        worst = bundle.manifest["precision"]["largest_difference_from_pytorch"]
        print(f"{bundle.path}: {sum(map(len, bundle.files.values())) / 1e6:.1f} MB, largest differences from PyTorch:")
        for name, value in worst.items():
            print(f"  {name:<14} {value:.2g}")
    return 0
