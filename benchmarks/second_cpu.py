"""`voxface calibrate --objective latency` on two kinds of processors: does it choose differently, and is each choice right?

    python -m benchmarks.second_cpu [--quick]

The second processor is this one with oneDNN, which OpenVINO computes with, kept to SSE4.1 (`ONEDNN_MAX_CPU_ISA`). ONNX
Runtime's kernels cannot be kept from anything, so OpenVINO alone takes part, on one thread. Each kind calibrates the default
bundle in a process of its own; then both bundles, and that in FP32, take turns on each kind. A choice is right where its own
kind runs it no slower than the other's.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.interleave import Neighbours
from benchmarks.options import parser
from benchmarks.pareto import CLIPS, LIMITS, SPEECH
from benchmarks.record import record
from voxface.calibration.clips import load_clips
from voxface.calibration.device import this_device
from voxface.calibration.stopwatch import EngineChoice, Job, Timing, TurnStopwatch
from voxface.calibration.timed_calibration import TimedSettings, calibrate_timed, feeds_of
from voxface.calibration.timed_search import QUICK, Effort
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.opening import open_engine

ENGINE: Final = EngineChoice("openvino", 1)
KINDS: Final[dict[str, dict[str, str]]] = {"whole": {}, "sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"}}
ROUNDS: Final = 60


def choose(out: Path, quick: bool) -> dict[str, Any]:
    """Calibrates for the processor of this process into `out`: the forms that it chose."""
    bundle = Bundle.open()
    clips = load_clips(SPEECH, bundle, most=4 if quick else CLIPS)
    settings = TimedSettings("latency", (ENGINE,), LIMITS, effort=QUICK if quick else Effort())
    result = calibrate_timed(bundle, clips, settings)
    result.write(out)
    return {"forms": next(row.forms for row in result.report.rows if row.chosen)}


def race(bundles: list[str], rounds: int) -> dict[str, float]:
    """Median milliseconds of an update of each bundle and of the default one, in turns, on the processor of this process."""
    clip = load_clips(SPEECH, Bundle.open(), most=4).calibration[0]
    reference = {name: open_engine(Bundle.open().graph(name), name=name) for name in GRAPHS}
    jobs = {}
    for path in (*bundles, "default"):
        bundle = Bundle.open(path)
        feeds = feeds_of(bundle, clip, reference)
        jobs[Path(path).stem] = Job([(partial(bundle.graph, name), feeds[name]) for name in GRAPHS], ENGINE)
    times = TurnStopwatch().race(jobs, rounds)
    return {name: round(t.median_ms, 4) for name, t in times.items() if isinstance(t, Timing)}


def child(kind: str, *words: str) -> Any:
    """What this program says with these words on a kind of processor."""
    environment = {**os.environ, **KINDS[kind]}
    command = [sys.executable, "-m", "benchmarks.second_cpu", *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds, to see that it runs; records nothing")
    options.add_argument("--choose", type=Path, metavar="OUT", help="calibrate on the processor of this process")
    options.add_argument("--race", metavar="JSON", help="time bundles on the processor of this process")
    asked = options.parse_args()
    if asked.choose:
        print(json.dumps(choose(asked.choose, asked.quick)))
        return
    if asked.race:
        print(json.dumps(race(json.loads(asked.race), 5 if asked.quick else ROUNDS)))
        return
    quick = ["--quick"] * asked.quick
    with Neighbours() as neighbours, tempfile.TemporaryDirectory() as room:
        bundles = {kind: str(Path(room) / f"{kind}.voxface") for kind in KINDS}
        choices = {kind: child(kind, "--choose", bundle, *quick) for kind, bundle in bundles.items()}
        times = {kind: child(kind, "--race", json.dumps([*bundles.values()]), *quick) for kind in KINDS}
    measured = {"device": this_device(), "kinds": {kind: {**choices[kind], "ms": times[kind]} for kind in KINDS}}
    measured |= neighbours.to_json()
    if asked.quick:
        print(json.dumps(measured, indent=1))
        return
    record("second_cpu", "python -m benchmarks.second_cpu", measured, ("numpy", "onnxruntime", "openvino"))


if __name__ == "__main__":
    main()
