"""`voxface profile`: how long an update takes, where the time goes and why, and a comparison with an earlier profile.

`--json` prints the report (`voxface.runtime.profile.report`), {"diagnosis": {RULE: TEXT}} and, with --against, {"comparison":
{"saved", "threshold", "differs", "worse", "rows": [{"what", "percentile", "saved_ms", "now_ms", "ratio", "judged",
"worse"}]}}.

Exit codes: 3 if a time is above the threshold, as for a replay that differs from its recording; the report is printed in that
case, which distinguishes it from a file that cannot be read. 2 if the two profiles cannot be compared. 128 plus the signal's
number if a signal ended the profile early; what was measured is printed then, but neither saved nor compared.
"""

import argparse
import hashlib
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.arguments import add_bundle, add_force, add_json, add_provider, add_threads, check_threads
from voxface.cli.output import Progress, complain, print_json, warn

if TYPE_CHECKING:
    from voxface.runtime.config.live import LiveConfig
    from voxface.runtime.profile.comparison import Row
    from voxface.runtime.profile.measure import Profiler
    from voxface.runtime.profile.report import Report

LONGEST_S = 24 * 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument(
        "--source", type=Path, metavar="AUDIO", help="a sound file, played repeatedly (a synthetic voice)"
    )
    parser.add_argument(
        "--mic",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="a microphone, by number or part of its name (the default one); runs everything that `voxface live` runs",
    )
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="how long to measure (%(default)g)")
    parser.add_argument(
        "--updates-per-second", type=float, default=10, metavar="R", help="updates a second, 1 to 50 (%(default)g)"
    )
    parser.add_argument("--window", type=float, default=8, metavar="S", help="speech an update uses (%(default)g)")
    parser.add_argument("--mode", default="exact", help="how the window is encoded (%(default)s)")
    add_bundle(parser)
    add_provider(parser)
    add_threads(parser)
    parser.add_argument("--trace", type=Path, metavar="FILE", help="every stage of every update, for ui.perfetto.dev")
    parser.add_argument("--save", type=Path, metavar="FILE", help="save the profile, for a later --against")
    add_force(parser, "replace a trace or a profile that is there already")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="compare with a saved profile; exit code 3 if this one is slower",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=1.2,
        metavar="X",
        help="ratio of times above which one counts as slower (%(default)g)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures; returns 3 if `--against` finds a time above the threshold, or if a file cannot be written."""
    began = time.perf_counter_ns()  # imports are part of a cold start
    from voxface.runtime.errors import InputError
    from voxface.runtime.profile.comparison import compare
    from voxface.runtime.profile.diagnosis import diagnose
    from voxface.runtime.profile.report import Report

    config = check(options)
    saved = Report.load(options.against) if options.against else None
    report, profiler = _measure(options, config, saved, began)
    document = {**report.to_json(), "diagnosis": diagnose(report)}
    rows: list[Row] = []
    if saved is not None and report.ended is None:
        rows = compare(saved, report, options.threshold)
        document["comparison"] = _comparison(options, saved, report, rows)
    if options.json:
        print_json(document)
    else:
        _print(report, document)
        if "comparison" in document:
            _print_comparison(document["comparison"])
    written = _write(options, profiler, report)
    if report.ended is not None:
        unused = [f"--{name}" for name in ("save", "against") if getattr(options, name) is not None]
        complain(
            f"ended by {report.ended} after {report.seconds:.1f} of {report.seconds_asked:g} s"
            + (f"; {' and '.join(unused)} left out" if unused else "")
        )
        return 128 + signal.Signals[report.ended].value
    worse = [row for row in rows if row.worse]
    if worse:
        said = ", ".join(f"{row.what} {row.percentile} {row.saved_ms:.2f} -> {row.now_ms:.2f} ms" for row in worse)
        complain(f"more than {options.threshold:g} times as long as in {options.against}: {said}")
    return InputError.exit_code if worse or not written else 0


def check(options: argparse.Namespace) -> "LiveConfig":
    """The settings of the session.

    Raises:
        UsageError: an option that cannot be, or two that exclude each other.
        InputError: a file that is not there.
    """
    from voxface.runtime.config.live import MODES, LiveConfig
    from voxface.runtime.config.sample_rate import SAMPLE_RATE
    from voxface.runtime.errors import InputError, UsageError

    if options.source is not None and options.mic is not None:
        raise UsageError("--source and --mic exclude each other")
    if options.source is not None and not options.source.is_file():
        raise InputError(
            f"{options.source}: {'a folder; give a sound file' if options.source.is_dir() else 'no such file'}"
        )
    if not 0 < options.seconds <= LONGEST_S:
        raise UsageError(f"--seconds {options.seconds:g}: more than 0, {LONGEST_S} at most")
    if not 1 <= options.updates_per_second <= 50:
        raise UsageError(f"--updates-per-second {options.updates_per_second:g}: 1 to 50")
    if not 1 <= options.window <= 60:
        raise UsageError(f"--window {options.window:g}: 1 to 60 seconds")
    check_threads(options.threads)
    if not 1 <= options.threshold < float("inf"):
        raise UsageError(f"--threshold {options.threshold:g}: a number, at least 1")
    if options.mode not in MODES:
        raise UsageError(f"--mode {options.mode}: there are {', '.join(MODES)}")
    _check_files(options)
    return LiveConfig(
        hop=round(SAMPLE_RATE / options.updates_per_second),
        window=round(options.window * SAMPLE_RATE),
        mode=options.mode,
    )


def _check_files(options: argparse.Namespace) -> None:
    """Checks that files to write can be written, and that none of them is also read."""
    from voxface.runtime.errors import InputError, UsageError
    from voxface.runtime.files.atomic import check_writable
    from voxface.runtime.files.existing import begins_with, check_existing

    own = {  # name of the option -> what it writes, and whether a file is such a thing
        "trace": ("trace", lambda path: begins_with(path, b'"traceEvents"', b'"voxface"')),
        "save": ("profile", lambda path: begins_with(path, b'"format"', b'"settings"')),
    }
    seen: dict[Path, str] = {}
    for name in ("source", "against", "trace", "save"):
        path: Path | None = getattr(options, name)
        if path is None:
            continue
        there = path.resolve()
        if there in seen and name in ("trace", "save") and not path.is_char_device():
            raise UsageError(f"--{name} {path}: is the file of --{seen[there]}; give another")
        seen[there] = name
        if name in ("source", "against"):
            continue
        if path.is_dir():
            raise UsageError(f"--{name} {path}: is a folder; give a file")
        check_existing(path, f"--{name}", *own[name], force=options.force)
        try:
            check_writable(path)
        except OSError as error:
            raise InputError(f"--{name} {path}: cannot be written ({error.strerror})") from error


def _measure(
    options: argparse.Namespace, config: "LiveConfig", saved: "Report | None", began: int
) -> "tuple[Report, Profiler]":
    """Measures; `began`: when the imports began, ns of `time.perf_counter_ns`."""
    from contextlib import suppress

    from voxface.runtime.engines.providers import OPENVINO_PROVIDERS, PROVIDERS
    from voxface.runtime.profile.measure import MICROPHONE, SYNTHETIC, Profiler, ProfileSetup

    if options.provider in OPENVINO_PROVIDERS:
        from voxface.runtime.engines.openvino_library import import_openvino
        from voxface.runtime.errors import ProviderError

        with suppress(ProviderError):  # opening the engine says what to install
            import_openvino()
    elif options.provider in PROVIDERS:
        with suppress(ImportError):  # as above
            import onnxruntime  # noqa: F401
    imported = began, time.perf_counter_ns()
    from voxface.cli.signals import breaking_off_runs, stopping_on_signals
    from voxface.runtime.errors import Interrupted, NoSpeechError
    from voxface.runtime.live.clock import SystemClock
    from voxface.runtime.live.microphone import Microphone, PortAudio
    from voxface.runtime.live.stop import Stop
    from voxface.runtime.profile.comparison import check_comparable
    from voxface.runtime.profile.machine import this_machine

    clock = SystemClock()
    microphone = None if options.mic is None else Microphone(clock, PortAudio(), options.mic or None, tell=warn)
    samples = None if options.source is None else _read(options)
    source = SYNTHETIC if options.source is None else options.source.name
    source = MICROPHONE if microphone else source
    sha256 = _sha256(options.source) if options.source else None
    stop = Stop()
    setup = ProfileSetup(options.bundle, options.provider, options.threads, config, options.seconds)
    with breaking_off_runs(), Profiler(setup, imported, keep_spans=options.trace is not None) as profiler:
        if saved is not None:
            check_comparable(saved, profiler.settings(source, sha256), this_machine(), options.against)
        progress = Progress(max(1, round(options.seconds * options.updates_per_second)), "updates")
        try:
            with stopping_on_signals(stop):  # not sooner: what loads can be broken off
                if microphone is not None:
                    report = profiler.microphone(microphone, stop, clock=clock, watch=progress.step)
                else:
                    report = profiler.paced(samples, source, sha256=sha256, stop=stop, watch=progress.step, clock=clock)
        except NoSpeechError:
            if stop.early:  # before anything was measured
                raise Interrupted(signal.Signals.__members__.get(stop.early, signal.SIGINT)) from None
            raise
        finally:
            progress.close()
    return report, profiler


def _write(options: argparse.Namespace, profiler: "Profiler", report: "Report") -> bool:
    """Writes the trace and the profile; False if one of them failed, which is then reported."""
    wanted: list[tuple[str, Callable[[Path], None]]] = [("trace", partial(_write_trace, profiler, report))]
    if report.ended is None:
        wanted.append(("save", report.save))
    written = True
    for name, write in wanted:
        path: Path | None = getattr(options, name)
        if path is None:
            continue
        try:
            write(path)
        except OSError as error:
            complain(f"--{name} {path}: cannot be written ({error.strerror})")
            written = False
    return written


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(options: argparse.Namespace) -> Any:
    """The beginning of the sound file, int16 [n] at 16 kHz: no more than the profile will hear."""
    import numpy as np

    from voxface.runtime.audio.decode import read_blocks
    from voxface.runtime.config.sample_rate import SAMPLE_RATE

    most = round((options.seconds + 2 * options.window) * SAMPLE_RATE)
    blocks, count = [np.empty(0, np.int16)], 0
    for block in read_blocks(options.source):
        blocks.append(block)
        count += len(block)
        if count >= most:
            break
    return np.concatenate(blocks)[:most]


def _write_trace(profiler: "Profiler", report: "Report", path: Path) -> None:
    from dataclasses import asdict

    from voxface.runtime.timing.perfetto_trace import write_trace

    about = {**asdict(report.settings), **asdict(report.machine), "dropped_spans": profiler.dropped}
    write_trace(path, profiler.spans, profiler.trace.threads, about)


def _comparison(options: argparse.Namespace, saved: "Report", report: "Report", rows: "list[Row]") -> dict[str, Any]:
    from dataclasses import asdict

    from voxface.runtime.profile.comparison import changes

    return {
        "saved": str(options.against),
        "threshold": options.threshold,
        "differs": changes(saved, report),
        "worse": sum(row.worse for row in rows),
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }


def _print(report: "Report", document: dict[str, Any]) -> None:
    """The profile as a table."""
    of, cold, memory, counters = report.settings, report.cold_start_ms, report.memory_mb, report.counters
    threads = f"{of.threads} thread{'s' if of.threads > 1 else ''}"
    print(f"{of.bundle} on {of.provider}, {threads}, mode {of.mode}, window {of.window_s:g} s; {of.source}")
    print(
        f"{report.machine.cpu}, {report.machine.cores} cores; "
        + ", ".join(f"{n} {v}" for n, v in report.versions.items())
    )
    quiet = f", {report.quiet_blocks} blocks of sound made none" if report.quiet_blocks else ""
    updates = f"{report.updates} update{'s' if report.updates != 1 else ''}"
    print(f"{updates} in {report.seconds:.1f} s, {of.updates_per_second:.4g} a second asked for{quiet}")
    print(f"\n{'milliseconds':<18}" + "".join(f"{name:>9}" for name in report.service_ms))
    _row("response", report.response_ms)
    for name, times in report.waiting_ms.items():
        _row(f"  {name}", times)
    _row("service", report.service_ms)
    for name, times in report.stages_ms.items():
        _row(f"  {name}", times)
        if name in report.engines_ms:
            runs = report.engine_runs[name]
            _row("    engine" if runs == report.updates else f"    engine, {runs} ×", report.engines_ms[name])
        for part, took in report.parts_ms.items() if name == "tell" else ():
            _row(f"    {part.replace('.', ' ')}", took)
    since = "its newest sample was at the converter" if report.waiting_ms else "it was due"
    print(f"\nresponse: of an update, since {since}; stages hold {report.staged:.1%} of the service")
    drawn = sum(took["p50"] for took in report.parts_ms.values())
    more = f"; mesh and picture, for a window on its thread, {drawn:.2f} ms more" if report.parts_ms else ""
    print(f"outside of engines  {report.outside_ms:.2f} ms, {report.overhead:.0%} of the time in them{more}")
    print("cold start          " + ", ".join(f"{name.replace('_', ' ')} {ms:.0f}" for name, ms in cold.items()) + " ms")
    idle = "" if report.idle_cpu is None else f", {report.idle_cpu:.1%} while it waits"
    print(f"CPU per stream      {report.cpu:.1%} of one core{idle}")
    if report.joules is not None:
        watts = report.joules / max(report.seconds, 1e-9)
        each = report.joules / max(report.updates, 1)
        print(f"energy              {each:.2f} J an update, {watts:.1f} W: the whole processor, whatever ran there")
    resident, peak = (f"{mb:.0f} MB" if mb is not None else "unknown" for mb in (memory["resident"], memory["peak"]))
    print(f"memory              {resident} resident, {peak} at most")
    made = report.allocations
    print(
        f"allocations         {made.peak_kb:.0f} kB at most within an update, {made.kept_blocks:.0f} blocks left behind "
        f"(Python and numpy, {made.updates} updates of their own)"
    )
    missed = [f"{name.replace('_', ' ')} {counters.get(name, 0)}" for name in ("skipped_estimates", "engine_failures")]
    missed.append(f"lost samples {sum(ranges['samples'] for ranges in counters['lost'].values())}")
    missed += [
        f"{name.replace('_', ' ')} {counters[name]}"
        for name in ("dropped_blocks", "longest_queue_ms")
        if name in counters
    ]
    if report.device:
        missed.append(f"xruns {report.device['xruns']}")
        print(f"microphone          {report.device['name']}")
    print(f"left out            {', '.join(missed)}")
    print(f"machine             one small computation varies by {report.jitter:.1%}")
    for reading in report.readings:
        print(
            f"{reading.what + ' reads':<20}{reading.megabytes:.1f} MB at {reading.gb_per_s:.1f} GB/s; memory gives "
            f"{reading.limit_gb_per_s:.1f}"
        )
    if report.scaling:
        print(
            f"threads             {report.scaling.speed_up:.2f} times as fast as {report.scaling.half_threads}, "
            f"{report.scaling.cores_used:.1f} cores busy"
        )
    print()
    for text in document["diagnosis"].values() or ["nothing stands out"]:
        print(f"* {text}")


def _row(name: str, times: dict[str, float]) -> None:
    print(f"{name:<18}" + "".join(f"{ms:9.2f}" for ms in times.values()))


def _print_comparison(found: dict[str, Any]) -> None:
    print(f"\n{'against ' + Path(found['saved']).name:<18}{'':>5}{'saved':>9}{'now':>9}{'ratio':>9}")
    for row in found["rows"]:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        mark = "  worse" if row["worse"] else "" if row["judged"] else "  not judged"
        print(f"{row['what']:<18}{row['percentile']:>5}{row['saved_ms']:9.2f}{row['now_ms']:9.2f}{ratio:>9}{mark}")
    if found["differs"]:
        print(f"differs: {', '.join(found['differs'])}")
