"""`voxface compare`: two engines on the same speech: the difference of their results, their speed, and where they first differ.

`--json` prints {"sides": [{"bundle", "provider"} × 2], "clips", "error": {"worst", "mean"}, "latency_ms": {GRAPH: [{"p50",
"p90", "p99"} × 2]}, "speed_up": {GRAPH}, "walk": {GRAPH: {"tensors", "parted", "farthest"}}, "skipped"}, and with `--layers`
"layers": {GRAPH: [{"layers", "operators", "ms": [A, B], "share"}]}.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import add_audio, add_bundle_operand, add_clips, add_json, add_threads, check_threads
from voxface.cli.output import Progress, complain, print_json

if TYPE_CHECKING:
    from voxface.calibration.engine_comparison import EngineComparison, Side, TensorDifference
    from voxface.calibration.layer_comparison import LayerDifference


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_bundle_operand(parser)
    parser.add_argument("--against", type=Path, help="another bundle for the second side, such as a calibrated one")
    parser.add_argument(
        "--providers",
        nargs="+",
        default=["cpu"],
        metavar="PROVIDER",
        help="providers of the two sides: cpu, cuda, tensorrt, tensorrt-rtx, tensorrt-native; one serves both (cpu)",
    )
    add_audio(parser, "sound file, or folder of speech")
    add_clips(parser, 16)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each clip that are timed (%(default)s)")
    add_threads(parser)
    parser.add_argument(
        "--no-walk", dest="walk", action="store_false", help="do not look for the first tensor that differs"
    )
    parser.add_argument("--layers", action="store_true", help="also the time and the difference of each layer alone")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compares; prints how far apart the two are, how fast, and where they first differ."""
    from voxface.cli.signals import breaking_off_runs
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.errors import ProviderError, UsageError
    from voxface.runtime.install_advice import how_to_install

    if len(options.providers) > 2:
        raise UsageError(f"--providers {' '.join(options.providers)}: one or two")
    if options.against is None and len(options.providers) < 2:
        raise UsageError("nothing to compare: give --providers A B, or --against another bundle")
    for name, least in (("clips", 1), ("rounds", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"--{name} {value}: at least {least}")
    if options.layers and not options.walk:
        raise UsageError("--layers goes by the tensors that --no-walk leaves out; give one of the two")
    check_threads(options.threads)
    try:
        from voxface.calibration.clips import read_clips
        from voxface.calibration.engine_comparison import Side, compare_engines
    except ImportError as error:
        raise ProviderError(f"comparing needs {error.name}; {how_to_install('cpu', 'calibrate')}") from error

    first = Bundle.open(options.bundle)
    second = first if options.against is None else Bundle.open(options.against)
    _check_alike(first, second)
    sides = (
        Side(first, options.providers[0], options.threads),
        Side(second, options.providers[-1], options.threads),
    )
    progress = Progress(options.clips, "speech")
    try:
        clips, skipped = read_clips(
            options.audio, first, most=options.clips, report=lambda done, total, name: progress.at(done, total)
        )
    finally:
        progress.close()
    for reason in skipped:
        complain(f"left out: {reason}")
    timed = Progress(options.rounds * len(clips), "timing clips")
    try:
        with breaking_off_runs():
            found = compare_engines(
                *sides, clips, rounds=options.rounds, walk=options.walk, layers=options.layers, report=timed.at
            )
    finally:
        timed.close()
    document = _document(sides, found, [str(reason) for reason in skipped])
    if options.json:
        print_json(document)
    else:
        _print(document, found)
    return 0


def _check_alike(first: Any, second: Any) -> None:
    """Raises UsageError unless both bundles take the same features and give the same faces."""
    from voxface.runtime.errors import UsageError

    if (first.front_end, first.vad) != (second.front_end, second.vad):
        raise UsageError(f"{second.path}: has another front end than {first.path}; their answers cannot be compared")
    one, other = first.morphable, second.morphable
    if one.basis.shape != other.basis.shape or not (one.basis == other.basis).all():
        raise UsageError(
            f"{second.path}: has another morphable model than {first.path}; their meshes cannot be compared"
        )


def _document(sides: "tuple[Side, Side]", found: "EngineComparison", skipped: list[str]) -> dict[str, Any]:
    import numpy as np

    from voxface.calibration.engine_comparison import PERCENTILES
    from voxface.calibration.task_error import summary

    error = summary(found.errors)
    return {
        "sides": [{"bundle": str(side.bundle.path), "provider": side.provider} for side in sides],
        "clips": error.pop("clips"),
        "error": error,
        "latency_ms": {
            name: [{f"p{p}": float(np.percentile(side, p)) for p in PERCENTILES} for side in both]
            for name, both in found.latency_ms.items()
        },
        "speed_up": {name: float(np.median(both[0]) / np.median(both[1])) for name, both in found.latency_ms.items()},
        "walk": {name: None if walk is None else _walk(walk) for name, walk in found.walk.items()},
        "skipped": skipped,
        **({"layers": {name: _layers(layers) for name, layers in found.layers.items()}} if found.layers else {}),
    }


def _layers(layers: "list[LayerDifference] | None") -> list[dict[str, Any]] | None:
    if layers is None:
        return None
    return [
        {
            "layers": [name for name, _ in layer.layers],
            "operators": [operator for _, operator in layer.layers],
            "ms": list(layer.ms),
            "share": layer.share if layer.share is not None and layer.share < float("inf") else None,
        }
        for layer in layers
    ]


def _walk(walk: "list[TensorDifference]") -> dict[str, Any]:
    from voxface.calibration.engine_comparison import first_difference

    where = first_difference(walk)
    farthest = max(walk, key=lambda tensor: tensor.share, default=None)
    return {
        "tensors": len(walk),
        "parted": None if where is None else _tensor(where),
        "farthest": None if farthest is None else _tensor(farthest),
    }


def _tensor(tensor: "TensorDifference") -> dict[str, Any]:
    share = tensor.share
    return {
        "tensor": tensor.tensor,
        "op": tensor.op,
        "share": share if share != float("inf") else None,
        "largest": tensor.largest,
    }


def _print(document: dict[str, Any], found: "EngineComparison") -> None:
    from voxface.calibration.engine_comparison import DIFFERENT

    for letter, side in zip("AB", document["sides"], strict=True):
        print(f"{letter}: {side['bundle']} on {side['provider']}")
    worst = document["error"]["worst"]
    print(f"B against A, worst of {document['clips']} clips:")

    def number(name: str, form: str, unit: str = "") -> str:
        return "not a number" if worst[name] is None else f"{worst[name]:{form}}{unit}"

    print(f"  embedding   cosine {number('cosine', '.7f')}")
    print(f"  picture     {number('psnr_db', '.1f', ' dB')}, {number('image_mae', '.3g', ' of 255')} on average")
    print(f"  vertices    {number('vertex_rms_mm', '.3g', ' mm')} RMS, {number('vertex_max_mm', '.3g', ' mm')} at most")
    print("milliseconds  A p50     p90     p99   B p50     p90     p99   A / B")
    for name, both in document["latency_ms"].items():
        cells = "".join("".join(f"{value:8.2f}" for value in side.values()) for side in both)
        print(f"  {name:<9}{cells}{document['speed_up'][name]:8.2f}")
    for name, walk in document["walk"].items():
        if walk is None:
            print(f"  {name:<9} no walk: an engine that was built ahead shows no tensors")
        elif walk["parted"] is None:
            print(
                f"  {name:<9} none of {walk['tensors']} tensors is more than {DIFFERENT:g} of its largest number apart"
            )
        else:
            where = walk["parted"]
            share = "no number on one side" if where["share"] is None else f"{where['share']:.2g} of its largest number"
            print(f"  {name:<9} first apart: {where['tensor']} ({where['op']}), {share}")
    if found.layers:
        _print_layers(document)


def _print_layers(document: dict[str, Any]) -> None:
    print("layers alone, ms     A       B   A / B  apart  (a share of the result's largest number)")
    for graph, layers in document["layers"].items():
        sums = [0.0, 0.0]
        for layer in layers or ():
            both = layer["ms"]
            sums = [total + (ms or 0.0) for total, ms in zip(sums, both, strict=True)]
            cells = "".join("       –" if ms is None else f"{ms:8.3f}" for ms in both)
            ratio = f"{both[0] / both[1]:8.2f}" if all(both) else "       –"
            apart = "      –" if layer["share"] is None else f"{layer['share']:7.1e}"
            print(f"  {graph:<12}{cells}{ratio} {apart}  {' + '.join(layer['layers'])}")
        whole = [side["p50"] for side in document["latency_ms"][graph]]
        print(
            f"  {graph:<12}{sums[0]:8.3f}{sums[1]:8.3f}                 sum; the graph: {whole[0]:.3f}, {whole[1]:.3f}"
        )
