"""`voxface build`: TensorRT engines of a bundle's graphs, built ahead of time and stored in the bundle."""

import argparse

from voxface.cli.arguments import BUNDLE_TO_WRITE, add_bundle_operand, add_force, add_json, add_out
from voxface.cli.output import Progress, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_bundle_operand(parser)
    parser.add_argument(
        "--flavour",
        choices=("tensorrt", "tensorrt-rtx"),
        required=True,
        help="tensorrt builds on the device for the device; tensorrt-rtx builds anywhere for any RTX GPU",
    )
    parser.add_argument(
        "--target",
        type=lambda text: [part.strip().lower() for part in text.split(",") if part.strip()],
        metavar="SM86,SM89,…",
        help="compute capabilities (tensorrt-rtx: all but sm75, which gets a plan of its own; tensorrt: this GPU)",
    )
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="T=MIN,BEST,MAX",
        help="lengths of a dimension the engine takes: T frames (1,1000,6272), B clips at a time (1,1,1)",
    )
    parser.add_argument("--only", action="store_true", help="remove engines that the bundle has already")
    parser.add_argument(
        "--fused", action="store_true", help="also one graph from log-mel to picture and coefficients: one launch"
    )
    add_out(parser, f"{BUNDLE_TO_WRITE} (the same bundle)", required=False)
    add_force(parser, "replace another bundle that is there already; into the same bundle engines go without it")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Builds; prints what was built."""
    from voxface.export.optimisation_profile import read_range
    from voxface.export.tensorrt_build import build_bundle
    from voxface.runtime.bundle.bundle import DEFAULT, Bundle
    from voxface.runtime.bundle.engine_plan import PLAN_PROVIDERS
    from voxface.runtime.bundle.manifest import SUFFIX
    from voxface.runtime.bundle.writer import check_target
    from voxface.runtime.errors import InputError, UsageError

    out = options.out or options.bundle
    if out.resolve() == DEFAULT.resolve():
        raise UsageError(f"the default bundle is part of the installation; give --out my{SUFFIX}")
    ranges = {}
    for text in options.profile:
        name, lengths = read_range(text)
        if name in ranges:
            raise UsageError(f"--profile {text}: {name} has been given already")
        ranges[name] = lengths
    bundle = Bundle.open(options.bundle)
    if out.resolve() == options.bundle.resolve():
        check_target(out, force=True)
    else:
        check_target(out, options.bundle, force=options.force)
    progress = Progress(100, f"{options.flavour} engines")

    def report(what: str, done: int, total: int) -> None:
        progress.at(done, total, what)

    try:
        written, built = build_bundle(
            bundle,
            out,
            options.flavour,
            options.target,
            ranges=ranges,
            only=options.only,
            fused=options.fused,
            report=report,
        )
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    finally:
        progress.close()
    provider = PLAN_PROVIDERS[options.flavour]
    if options.json:
        print_json(
            {
                "path": str(written.path),
                "bytes": sum(map(len, written.files.values())),
                "provider": provider,
                "engines": [{**engine.entry.to_json(), "seconds": round(engine.seconds, 3)} for engine in built],
                "kept": len(written.plans) - len(built),
            }
        )
        return 0
    for engine in built:
        entry = engine.entry
        print(
            f"{entry.graph:<8} {'+'.join(entry.precision or ()):<16} {','.join(entry.targets)}: "
            f"{len(engine.data) / 1e6:.1f} MB in {engine.seconds:.1f} s"
        )
        for change in entry.changes or ():
            print(f"  {change.what}: {', '.join(change.nodes)} ({change.because})")
        for unlike in (entry.inspection.unlike or ()) if entry.inspection else ():
            print(f"  not as wished: {unlike}")
    for reason in dict.fromkeys(e.entry.inspection.not_told for e in built if e.entry.inspection):
        if reason:
            print(f"the network has the precisions that were wished, but for what is said above; {reason}")
    print(f"{written.path}: {sum(map(len, written.files.values())) / 1e6:.1f} MB; run it with --provider {provider}")
    return 0
