"""The Pareto front of time and error that `voxface calibrate --objective pareto` finds, against what one would do without it.

    python -m benchmarks.pareto [--quick]

For the default bundle and for one of full size: the points of the front, plain FP32, every node in FP16, every node in INT8 as
`voxface calibrate --precision int8` would without its tolerance, and ONNX Runtime's own static quantiser, all in turns in one
process. An update is the three graphs one after another on a window of 8 s. Errors are those of the worst held-out clip.
Results of several machines are kept side by side: a run replaces those of its own kind of processor only.
"""

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.full_size import networks, write_bundle
from benchmarks.interleave import Neighbours
from benchmarks.options import parser
from benchmarks.record import RESULTS, load, record
from voxface.calibration.clips import Clips, load_clips
from voxface.calibration.device import this_device
from voxface.calibration.forms import Forms, label
from voxface.calibration.front_report import FrontRow
from voxface.calibration.lowering import Lowering
from voxface.calibration.regions import regions
from voxface.calibration.stopwatch import EngineChoice, Job, Timing, TurnStopwatch
from voxface.calibration.task_error import TOLERANCES, ErrorMeter, TaskError, as_json, worst
from voxface.calibration.timed_calibration import TimedSettings, calibrate_timed, feeds_of
from voxface.calibration.timed_search import QUICK, Effort
from voxface.onnx_graph.graph import Graph
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.onnxruntime import import_onnxruntime
from voxface.runtime.engines.opening import open_engine

SPEECH: Final = Path(os.environ.get("VOXFACE_SHARED", "../shared/data")) / "speech" / "librispeech" / "one_per_speaker"
CLIPS: Final = 12
ROUNDS: Final = 40
LIMITS: Final = TOLERANCES["mixed"]
ENGINES: Final = (EngineChoice("cpu", 1), EngineChoice("cpu", 2))
Files = dict[str, bytes]  # graph -> ONNX file


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds, to see that it runs; records nothing")
    options.add_argument("--speech", type=Path, default=SPEECH, help="folder of speech (%(default)s)")
    asked = options.parse_args()
    measured: dict[str, Any] = {"device": this_device(), "rounds": 3 if asked.quick else ROUNDS}
    with Neighbours() as neighbours, tempfile.TemporaryDirectory() as room:
        bundles = {"default": Bundle.open(), "full_size": write_bundle(Path(room) / "full", networks())}
        measured["bundles"] = {
            name: compare(bundle, load_clips(asked.speech, bundle, most=4 if asked.quick else CLIPS), asked.quick)
            for name, bundle in bundles.items()
        }
    measured |= neighbours.to_json()
    if asked.quick:
        print({name: found["against"] for name, found in measured["bundles"].items()})
        return
    machines: dict[str, Any] = load("pareto")["measured"]["machines"] if (RESULTS / "pareto.json").exists() else {}
    machines[f"{measured['device']['cpu']} ({measured['device']['instructions']})"] = measured
    record("pareto", "python -m benchmarks.pareto", {"machines": machines}, ("numpy", "onnx", "onnxruntime", "torch"))


def compare(bundle: Bundle, clips: Clips, quick: bool) -> dict[str, Any]:
    """The front and the other ways, in one race, with the errors of all of them."""
    settings = TimedSettings("pareto", ENGINES, LIMITS, effort=QUICK if quick else Effort())
    result = calibrate_timed(bundle, clips, settings)
    graphs = {name: Graph.from_bytes(bundle.graph(name), name=name) for name in GRAPHS}
    reference = {name: open_engine(bundle.graph(name), name=name) for name in GRAPHS}
    feeds = feeds_of(bundle, clips.calibration[0], reference)
    lowering = Lowering(graphs)
    calibrating = ErrorMeter(reference, clips.calibration, bundle.morphable)
    observed: dict[str, list[dict[str, Any]]] = {"encoder": [{"log_mel": clip.log_mel} for clip in clips.calibration]}
    observed |= {name: [{"embedding": o.embedding[None]} for o in calibrating.reference] for name in ("face", "mesh")}
    for name, some in observed.items():
        lowering.observe(name, some)
    forms = Forms(lowering, (region for name, graph in graphs.items() for region in regions(graph, name)))

    def files(row: FrontRow) -> Files:
        return {name: forms.graph(name, row.measured.update.choice).model().SerializeToString() for name in GRAPHS}

    def whole(int8: Any, fp16: Any) -> Files:
        return {name: lowering.graph(name, int8, fp16).model().SerializeToString() for name in GRAPHS}

    ways: dict[str, Files] = {
        "fp32": {name: bundle.graph(name) for name in GRAPHS},
        "fp16": whole((), lowering.fp16_candidates()),
        "int8": whole(lowering.int8_candidates(), ()),
        "onnxruntime_static": {name: quantised(graphs[name], observed[name]) for name in GRAPHS},
    }
    held_out = ErrorMeter(reference, (*clips.held_out, clips.longest_held_out), bundle.morphable)
    sides = {f"{way}, {e}": (some, e) for e in ENGINES for way, some in ways.items()}
    others = list(sides)
    sides |= {f"front {k}": (files(row), row.measured.update.engine) for k, row in enumerate(result.report.front)}
    jobs = {
        name: Job([(partial(bytes, some[g]), feeds[g]) for g in GRAPHS], engine)
        for name, (some, engine) in sides.items()
    }
    times = {name: t for name, t in TurnStopwatch().race(jobs, 3 if quick else ROUNDS).items() if isinstance(t, Timing)}
    errors: dict[str, TaskError] = {
        way: worst(held_out.errors({name: open_engine(data, name=name) for name, data in some.items()}))
        for way, some in ways.items()
    }
    points = {name: row(times[name], errors[name.split(",")[0]]) for name in others if name in times}
    points |= {
        f"front {k}": {
            **row(times[f"front {k}"], found.held_out),
            "engine": str(found.measured.update.engine),
            "forms": found.forms,
            "choice": label(found.measured.update.choice),
            "chosen": found.chosen,
        }
        for k, found in enumerate(result.report.front)
        if found.held_out is not None
    }
    return {
        "frames": result.report.frames,
        "clips": len(clips.held_out) + 1,
        "points": points,
        "against": {name: against(points, name) for name in others if name in times},
        "layers": result.report.document()["layers"],
        "candidates": len(result.report.rows),
    }


def row(time: Timing, error: TaskError) -> dict[str, Any]:
    """A point for the record."""
    share = error.share(LIMITS)
    return {
        **{key: round(value, 4) for key, value in time.to_json().items()},
        "error": as_json(error),
        "share_of_tolerance": share if np.isfinite(share) else None,
    }


def against(points: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The fastest point of the front that is at least as exact as another way: how much faster it is, and whether by more than
    chance. FP32 itself has no error; rewritten FP32 differs from it by rounding, which counts as equal."""
    other = points[name]
    most = np.inf if other["share_of_tolerance"] is None else max(other["share_of_tolerance"], 1e-2)
    exact = {k: p for k, p in points.items() if k.startswith("front") and (p["share_of_tolerance"] or 0.0) <= most}
    best = min(exact, key=lambda k: exact[k]["ms"])
    noise = float(np.hypot(exact[best]["noise_ms"], other["noise_ms"]))
    return {
        "best": best,
        "faster_by": round(other["ms"] / exact[best]["ms"], 3),
        "dominated": exact[best]["ms"] <= other["ms"] + 2 * noise,
    }


class _Reader:
    """Inputs for ONNX Runtime's quantiser."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def quantised(graph: Graph, feeds: list[dict[str, Any]]) -> bytes:
    """The graph as ONNX Runtime's own static quantiser makes it, with the settings that its documentation recommends: its own
    preparation, QDQ, a scale for each channel, 7 bits where the processor has no VNNI."""
    import_onnxruntime()
    from onnxruntime.quantization import QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as room:
        given, source, target = (Path(room) / f"{name}.onnx" for name in ("given", "source", "target"))
        given.write_bytes(graph.model().SerializeToString())
        quant_pre_process(str(given), str(source), skip_symbolic_shape=True)
        quantize_static(
            str(source),
            str(target),
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range="vnni" not in this_device()["instructions"],
        )
        return target.read_bytes()


if __name__ == "__main__":
    main()
