"""`voxface calibrate`: a bundle in FP16 or INT8; the precision of each node is decided and measured on real speech.

With `--objective` the time that each form of a layer takes on this device decides too, see `voxface.cli.objective`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import (
    BUNDLE_TO_READ,
    BUNDLE_TO_REPLACE,
    add_audio,
    add_bundle_operand,
    add_clips,
    add_force,
    add_json,
    add_out,
    add_provider,
    add_threads,
)
from voxface.cli.output import complain, print_json
from voxface.cli.phases import PhaseProgress

if TYPE_CHECKING:
    from voxface.calibration.calibrate import Calibrated
    from voxface.runtime.bundle.bundle import Bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_bundle_operand(parser, f"{BUNDLE_TO_READ}, whose arithmetic is FP32")
    add_audio(parser, "folder of speech; half of its files calibrate, the others measure")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--precision", choices=("fp16", "int8", "mixed"), help="mixed: INT8 where possible, else FP16")
    what.add_argument(
        "--objective",
        choices=("latency", "error", "pareto"),
        help="measure time as well: the fastest within the tolerance; the most exact within --max-ms; or the knee of both",
    )
    add_out(parser)
    add_force(parser, BUNDLE_TO_REPLACE)
    parser.add_argument(
        "--min-cosine", type=float, help="least cosine of embeddings, worst clip (fp16 0.9999, else 0.999)"
    )
    parser.add_argument(
        "--min-psnr", type=float, metavar="DB", help="least PSNR of the image, worst clip (fp16 45, else 35)"
    )
    parser.add_argument("--max-mm", type=float, help="largest shift of a vertex, worst clip (fp16 0.05, else 0.3)")
    add_clips(parser, 64)
    parser.add_argument(
        "--weight-bits",
        type=int,
        choices=(7, 8),
        default=7,
        help="bits of INT8 weights; 8 is finer, but saturates on x86 processors without VNNI (%(default)s)",
    )
    timed = parser.add_argument_group("with --objective")
    timed.add_argument("--device", choices=("this",), default="this", help="the device to measure: this machine")
    add_provider(
        timed, "what runs the networks: cpu, …; several are measured side by side (cpu)", nargs="+", default=None
    )
    add_threads(timed, nargs="+", metavar="N", help="numbers of threads to measure (1, and one per core, four at most)")
    timed.add_argument("--max-ms", type=float, metavar="MS", help="longest time of an update (no limit)")
    timed.add_argument("--quick", action="store_true", help="fewer candidates and rounds, to try it out")
    timed.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="where to keep what is measured, to go on after a break (beside --out)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Calibrates; prints what was decided and measured."""
    from dataclasses import replace

    from voxface.cli.signals import breaking_off_runs
    from voxface.runtime.bundle.writer import check_target
    from voxface.runtime.errors import InputError, ProviderError, UsageError
    from voxface.runtime.install_advice import how_to_install

    if options.clips < 2:
        raise UsageError(f"--clips {options.clips}: at least 2, one to calibrate and one to measure on")
    out = options.out
    timed = options.objective is not None
    _check_objective(options)
    check_target(out, options.bundle, force=options.force)
    if not options.audio.exists():
        raise InputError(f"{options.audio}: no such file or folder")
    try:
        from voxface.calibration.calibrate import CalibrationSettings, calibrate
        from voxface.calibration.clips import load_clips
        from voxface.calibration.task_error import TOLERANCES
    except ImportError as error:
        raise ProviderError(f"calibration needs {error.name}; {how_to_install('cpu', 'calibrate')}") from error
    from voxface.runtime.bundle.bundle import Bundle

    asked = {"cosine": options.min_cosine, "psnr_db": options.min_psnr, "vertex_mm": options.max_mm}
    changed = {name: value for name, value in asked.items() if value is not None}
    limits = replace(TOLERANCES["mixed" if timed else options.precision], **changed)
    settings = None if timed else CalibrationSettings(options.precision, limits, options.weight_bits)
    source = Bundle.open(options.bundle)
    watch = PhaseProgress()
    try:
        clips = load_clips(options.audio, source, most=options.clips, report=lambda *at: watch("speech", *at))
        for reason in clips.skipped:
            complain(f"left out: {reason}")
        if settings is None:
            from voxface.cli.objective import calibrate_for_objective

            return calibrate_for_objective(options, source, clips, limits, watch)
        with breaking_off_runs():
            result = calibrate(source, clips, settings, watch)
    finally:
        watch.close()
    try:
        bundle = result.write(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    if options.json:
        print_json(_document(result, bundle, source, list(clips.skipped)))
    else:
        _print(result, bundle, source)
    return 0


def _check_objective(options: argparse.Namespace) -> None:
    """Raises UsageError for options that only an objective has."""
    from voxface.runtime.errors import UsageError

    given = {
        "--provider": options.provider is not None,
        "--threads": options.threads is not None,
        "--max-ms": options.max_ms is not None,
        "--quick": options.quick,
        "--state": options.state is not None,
    }
    if options.objective is None and any(given.values()):
        name = next(name for name, is_given in given.items() if is_given)
        raise UsageError(f"{name}: only --objective measures time; give it in place of --precision {options.precision}")


def _sizes(bundle: "Bundle") -> dict[str, int]:
    return {name: len(bundle.graph(name)) for name in bundle.manifest.graphs}


def _document(result: "Calibrated", bundle: "Bundle", source: "Bundle", skipped: list[str]) -> dict[str, Any]:
    from voxface.cli.bundle import info

    sizes = {"source": _sizes(source), "calibrated": _sizes(bundle)}
    return {"bundle": info(bundle), "plan": result.plan.document(), "graph_bytes": sizes, "skipped": skipped}


def _print(result: "Calibrated", bundle: "Bundle", source: "Bundle") -> None:
    from voxface.calibration.precision_plan import TABLE
    from voxface.calibration.task_error import TaskError, worst

    megabytes = [sum(_sizes(b).values()) / 1e6 for b in (source, bundle)]
    print(f"{bundle.path}: graphs of {megabytes[1]:.1f} MB (they had {megabytes[0]:.1f} MB)")
    for graph, counts in result.plan.counts().items():
        print(f"  {graph:<8} " + ", ".join(f"{count} nodes {precision}" for precision, count in counts.items()))

    def line(what: str, error: TaskError) -> None:
        print(
            f"  {what:<28} cosine {error.cosine:.7f}, picture {error.psnr_db:.1f} dB, "
            f"vertices {error.vertex_rms_mm:.3g} mm RMS, {error.vertex_max_mm:.3g} mm at most"
        )

    print(f"worst of {len(result.held_out)} held-out clips, against FP32:")
    line("this bundle", worst(result.held_out))
    line("as ONNX Runtime runs it here", worst(result.onnxruntime))
    line("with every node lowered", worst(result.all_lowered))
    print(f"what each node runs in, and why: {TABLE} in the bundle")
