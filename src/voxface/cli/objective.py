"""`voxface calibrate --objective`: the Pareto front of time and error on this device, and a bundle that is one point of it.

`--json` prints {"bundle", "plan", "front": {"objective", "tolerances", "device", "frames", "candidates", "layers", "refused"},
"skipped"}.
"""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from voxface.cli.arguments import check_threads
from voxface.cli.output import print_json, warn
from voxface.cli.phases import PhaseProgress

if TYPE_CHECKING:
    from voxface.calibration.clips import Clips
    from voxface.calibration.front_report import FrontReport
    from voxface.calibration.stopwatch import EngineChoice
    from voxface.calibration.task_error import Tolerances
    from voxface.runtime.bundle.bundle import Bundle
MOST_TRIED: Final = 4  # threads, where none are given: with more, operators of these sizes gain nothing


def calibrate_for_objective(
    options: argparse.Namespace, source: "Bundle", clips: "Clips", limits: "Tolerances", watch: PhaseProgress
) -> int:
    """Measures, chooses, writes the bundle and prints the front; goes on with what an earlier run has measured."""
    from voxface.calibration.calibration_state import CalibrationState
    from voxface.calibration.timed_calibration import TimedSettings, calibrate_timed, state_of
    from voxface.calibration.timed_search import QUICK, Effort
    from voxface.cli.signals import breaking_off_runs
    from voxface.runtime.errors import InputError

    settings = TimedSettings(
        options.objective,
        _engines(options),
        limits,
        math.inf if options.max_ms is None else options.max_ms,
        options.weight_bits,
        QUICK if options.quick else Effort(),
    )
    path: Path = options.state or options.out.with_name(f"{options.out.name}.calibration-state")
    state = CalibrationState.open(path, state_of(source, clips, settings))
    if state.found:
        warn(f"{path}: going on with {state.found} measurements of an earlier run")
    with breaking_off_runs():
        result = calibrate_timed(source, clips, settings, state, watch)
    watch.close()
    try:
        bundle = result.write(options.out)
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror}); choose another --out") from error
    state.remove()
    if options.json:
        from voxface.cli.bundle import info

        front = result.report.document()
        print_json(
            {"bundle": info(bundle), "plan": result.plan.document(), "front": front, "skipped": [*clips.skipped]}
        )
    else:
        _print(bundle, result.report)
    return 0


def _engines(options: argparse.Namespace) -> "tuple[EngineChoice, ...]":
    from voxface.calibration.stopwatch import EngineChoice
    from voxface.runtime.processor import usable_cores

    threads = options.threads or sorted({1, min(usable_cores(), MOST_TRIED)})
    for count in threads:
        check_threads(count)
    providers = dict.fromkeys(options.provider or ["cpu"])
    return tuple(EngineChoice(provider, count) for provider in providers for count in dict.fromkeys(threads))


def _print(bundle: "Bundle", report: "FrontReport") -> None:
    from voxface.calibration.front_report import SVG, TABLE

    print(f"{bundle.path}: {report.device['cpu']} ({report.device['instructions']})")
    print(f"one update of {report.frames} frames, worst held-out clip against FP32; the front, the fastest first:")
    print("      ms  of FP32  1 − cosine  picture dB  vertices mm  engine, layers that are not FP32 as exported")
    first = report.exported.measured.time.ms
    for row in report.front:
        error, ms = row.held_out, row.measured.time.ms
        assert error is not None
        print(
            f"{'*' if row.chosen else ' '}{ms:7.3f}  {ms / first:7.2f}  {1 - error.cosine:10.1e}  {error.psnr_db:10.1f}  "
            f"{error.vertex_max_mm:11.2g}  {row.measured.update.engine}: {row.forms}"
        )
    threads = report.chosen.measured.update.engine.threads
    print(f"* is in the bundle; it was measured with --threads {threads}. More: {TABLE} and {SVG} in the bundle")
