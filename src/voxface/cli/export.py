"""`voxface export`: trained networks to ONNX graphs in a bundle."""

import argparse
from pathlib import Path

from voxface.cli.arguments import BUNDLE_TO_REPLACE, add_force, add_json, add_out
from voxface.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "run",
        nargs="+",
        type=Path,
        help="folders of trainings that together hold a voice encoder, a face and a mesh network, or one checkpoint of all",
    )
    add_out(parser)
    add_force(parser, BUNDLE_TO_REPLACE)
    parser.add_argument("--name", help="name of the bundle (the checkpoint's, or that of --out)")
    parser.add_argument("--version", help="version of the bundle (the checkpoint's, or 1)")
    parser.add_argument("--description", help="one sentence on what it is and on what data it was trained")
    parser.add_argument(
        "--storage",
        choices=("float32", "float16"),
        default="float32",
        help="precision weights are stored in; arithmetic is float32 either way (%(default)s)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Exports; prints the bundle's description."""
    from voxface.runtime.bundle.writer import check_target
    from voxface.runtime.errors import InputError, ProviderError
    from voxface.runtime.install_advice import how_to_install

    check_target(options.out, force=options.force)
    try:
        from voxface.export.bundle_export import export_bundle
        from voxface.training.engine.trained_networks import TrainedNetworks
    except ImportError as error:
        raise ProviderError(f"export needs {error.name}; {how_to_install('train')}") from error
    from voxface.cli.bundle import info

    checkpoint = TrainedNetworks.load(*options.run)
    for key in ("name", "version", "description"):
        if getattr(options, key) is not None:
            setattr(checkpoint, key, getattr(options, key))
    try:
        bundle = export_bundle(checkpoint, options.out, fp16_storage=options.storage == "float16")
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror}); choose another --out") from error
    if options.json:
        print_json(info(bundle))
    else:
        precision = bundle.manifest.precision
        worst = (precision and precision.largest_difference_from_pytorch) or {}
        print(f"{bundle.path}: {sum(map(len, bundle.files.values())) / 1e6:.1f} MB, largest differences from PyTorch:")
        for name, value in worst.items():
            print(f"  {name:<14} {value:.2g}")
    return 0
