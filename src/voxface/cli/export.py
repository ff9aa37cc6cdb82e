"""`voxface export`: trained networks to ONNX graphs in a bundle, and bundles to repositories of other servers."""

import argparse
from pathlib import Path

from voxface.cli.arguments import add_bundle, add_force, add_json, add_out
from voxface.cli.output import Progress, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "run",
        nargs="*",
        type=Path,
        help="folders of trainings that together hold a voice encoder, a face and a mesh network, or one checkpoint of all",
    )
    add_out(parser, required=False)
    add_force(parser, "replace a bundle, or a Triton repository, that is there already")
    parser.add_argument("--name", help="name of the bundle (the checkpoint's, or that of --out)")
    parser.add_argument("--version", help="version of the bundle (the checkpoint's, or 1)")
    parser.add_argument("--description", help="one sentence on what it is and on what data it was trained")
    parser.add_argument(
        "--storage",
        choices=("float32", "float16"),
        default="float32",
        help="precision weights are stored in; arithmetic is float32 either way (%(default)s)",
    )
    triton = parser.add_argument_group("a bundle as a model repository of NVIDIA Triton Inference Server")
    triton.add_argument("--triton", type=Path, metavar="DIR", help="folder of the repository")
    add_bundle(triton)
    triton.add_argument("--max-batch", type=int, metavar="N", help="largest batch that Triton makes (8)")
    triton.add_argument(
        "--max-delay-us", type=int, metavar="US", help="microseconds that a request waits for others (2000)"
    )
    triton.add_argument("--instances", type=int, metavar="N", help="copies of each network on every device (1)")
    triton.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        help="where Triton runs them; auto: on GPUs, if there are any (auto)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Exports; prints the description of what was written."""
    from voxface.runtime.errors import UsageError

    others = [name for name in ("bundle", "max_batch", "max_delay_us", "instances", "device") if _given(options, name)]
    if options.triton is not None:
        ours = [name for name in ("run", "out", "name", "version", "description") if _given(options, name)]
        if ours:
            raise UsageError(f"{_option(ours[0])}: does not go with --triton, which takes a --bundle")
        return _triton(options)
    if others:
        raise UsageError(f"{_option(others[0])}: goes with --triton only")
    if not options.run or options.out is None:
        raise UsageError("give folders of trainings and --out; or --triton DIR, for a bundle")
    return _bundle(options)


def _given(options: argparse.Namespace, name: str) -> bool:
    return getattr(options, name) not in (None, [])


def _option(name: str) -> str:
    return "RUN" if name == "run" else f"--{name.replace('_', '-')}"


def _bundle(options: argparse.Namespace) -> int:
    from voxface.runtime.bundle.writer import check_target
    from voxface.runtime.errors import InputError, ProviderError
    from voxface.runtime.install_advice import how_to_install

    check_target(options.out, force=options.force)
    try:
        from voxface.export.bundle_export import export_bundle
        from voxface.training.engine.bundle_networks import TrainedNetworks
    except ImportError as error:
        raise ProviderError(f"export needs {error.name}; {how_to_install('train')}") from error
    from voxface.cli.bundle import info

    checkpoint = TrainedNetworks.load(*options.run)
    for key in ("name", "version", "description"):
        if getattr(options, key) is not None:
            setattr(checkpoint, key, getattr(options, key))
    progress = Progress(3, "graphs")
    try:
        bundle = export_bundle(checkpoint, options.out, fp16_storage=options.storage == "float16", report=progress.at)
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror}); choose another --out") from error
    finally:
        progress.close()
    if options.json:
        print_json(info(bundle))
    else:
        precision = bundle.manifest.precision
        worst = (precision and precision.largest_difference_from_pytorch) or {}
        print(f"{bundle.path}: {sum(map(len, bundle.files.values())) / 1e6:.1f} MB, largest differences from PyTorch:")
        for name, value in worst.items():
            print(f"  {name:<14} {value:.2g}")
    return 0


def _triton(options: argparse.Namespace) -> int:
    from voxface.export.triton_repository import TritonSettings, check_repository, write_repository
    from voxface.runtime.bundle.bundle import Bundle

    given = {
        "most_at_once": options.max_batch,
        "delay_us": options.max_delay_us,
        "instances": options.instances,
        "device": options.device,
    }
    settings = TritonSettings(**{name: value for name, value in given.items() if value is not None})
    bundle = Bundle.open(options.bundle)
    check_repository(options.triton, bundle.path, force=options.force)
    models = write_repository(bundle, options.triton, settings)
    if options.json:
        print_json(
            {
                "path": str(options.triton),
                "bundle": {"name": bundle.name, "sha256": bundle.manifest.sha256},
                "models": [
                    {
                        "name": model.name,
                        "backend": model.backend,
                        "files": list(model.files),
                        "max_batch_size": model.most_at_once if model.batched else 0,
                        "instances": model.instances,
                    }
                    for model in models
                ],
            }
        )
        return 0
    for model in models:
        size = sum(map(len, model.files.values()))
        batch = f"batches of {model.most_at_once}" if model.batched and model.most_at_once > 1 else "one at a time"
        print(f"{options.triton / model.name}: {model.backend}, {size / 1e6:.1f} MB, {batch}")
    print(f"tritonserver --model-repository {options.triton}")
    return 0
