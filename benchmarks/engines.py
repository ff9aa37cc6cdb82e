"""ONNX Runtime beside OpenVINO on this CPU: the networks in FP32, BF16 and INT8, on one and two threads.

    python -m benchmarks.engines [--quick]

The voice encoder on 8 s of speech, the generator and the mesh network of the default bundle, and the generator at the papers'
full size. INT8 means every layer that can be INT8; on a real model `voxface calibrate` leaves some in FP32. BF16 is measured
where the processor has it. All of one kind take turns in one process, in two ways: one right after the other, and each after a
rest, as in a live stream, where threads have slept. What was measured on other kinds of processors stays in the result.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.int8 import CLIPS, FRAMES
from benchmarks.interleave import Neighbours, percentiles, take_turns_by_stage
from benchmarks.options import parser
from benchmarks.record import RESULTS, load, record
from voxface.calibration.lowering import Lowering
from voxface.onnx_graph.graph import Graph
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import ProviderError
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.processor import instruction_sets, processor_name, usable_cores

NAME: Final = "engines"
LIBRARIES: Final = ("numpy", "onnx", "onnxruntime", "openvino")
# Library and precision -> provider, and the form of the graph that it runs.
SIDES: Final = {
    "onnxruntime fp32": ("cpu", "fp32"),
    "openvino fp32": ("openvino", "fp32"),
    "openvino bf16": ("openvino-bf16", "fp32"),
    "onnxruntime int8": ("cpu", "int8"),
    "openvino int8": ("openvino", "int8"),
}
REST_S: Final = {"in_a_row": 0.0, "rested": 0.02}
ROUNDS: Final = 150
QUICK_ROUNDS: Final = 5

Feed = dict[str, NDArray[np.float32]]


def main() -> None:
    """Runs the benchmark; records it, unless it is only tried."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="a few rounds, and nothing is recorded")
    quick = options.parse_args().quick
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with Neighbours() as neighbours:
        graphs = {
            name: compare(data, feeds, rounds) for name, (data, feeds) in networks_of_all(full_size=not quick).items()
        }
    kind = ", ".join(instruction_sets()) or "unknown"
    machine = {
        "cpu": processor_name(),
        "cores": usable_cores(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "rounds": rounds,
        **neighbours.to_json(),
        "graphs": graphs,
    }
    if quick:
        print_times(kind, graphs)
        return
    others = load(NAME)["measured"]["machines"] if (RESULTS / f"{NAME}.json").exists() else {}
    record(NAME, "python -m benchmarks.engines", {"machines": {**others, kind: machine}}, LIBRARIES)


def networks_of_all(*, full_size: bool) -> dict[str, tuple[bytes, list[Feed]]]:
    """Each network as ONNX, with what it is given: the first is timed, all calibrate."""
    bundle = Bundle.open()
    with FaceEstimator(bundle) as face_estimator:
        heard = [face_estimator.listen(read_blocks(clip)).log_mel for clip in CLIPS]
    how = bundle.front_end.normalisation
    speech: list[Feed] = [{"log_mel": network_input(each, how=how)[:, :, :FRAMES].copy()} for each in heard]
    with open_engine(bundle.graph("encoder")) as encoder:
        embeddings: list[Feed] = [{"embedding": encoder.run(feed)["embedding"]} for feed in speech]
    found = {name: (bundle.graph(name), speech if name == "encoder" else embeddings) for name in GRAPHS}
    if full_size:
        from benchmarks.full_size import networks
        from voxface.export.onnx_export import embedding_spec, to_onnx

        found["face_full_size"] = to_onnx(networks()["face"], embedding_spec("image"))[0], embeddings
    return found


def compare(data: bytes, feeds: list[Feed], rounds: int) -> dict[str, Any]:
    """Times of one network on each library, in each precision, with one and two threads."""
    lowering = Lowering({"graph": Graph.from_bytes(data)})
    lowering.observe("graph", feeds)
    forms = {"fp32": data, "int8": lowering.graph("graph", lowering.int8_candidates(), ()).to_bytes()}
    found: dict[str, Any] = {"megabytes": {name: round(len(form) / 1e6, 2) for name, form in forms.items()}}
    with ExitStack() as opened:
        sides: dict[str, Engine] = {}
        left_out: dict[str, str] = {}
        open_ms: dict[str, float] = {}
        for side, (provider, form) in SIDES.items():
            for threads in (1, 2):
                began = time.perf_counter_ns()
                try:
                    engine = open_engine(forms[form], provider, threads=threads)
                except ProviderError as error:
                    left_out[side] = str(error)
                    continue
                open_ms[key_of(side, threads)] = round((time.perf_counter_ns() - began) / 1e6, 1)
                sides[key_of(side, threads)] = opened.enter_context(engine)
        reference = sides[key_of("onnxruntime fp32", 1)].run(feeds[0])
        for how, rest_s in REST_S.items():
            turns = {key: timed(partial(engine.run, feeds[0])) for key, engine in sides.items()}
            times = take_turns_by_stage(turns, rounds, pause_s=rest_s)
            found[how] = {key: percentiles(stages["ms"]) for key, stages in times.items()}
        apart = {key: share_apart(engine.run(feeds[0]), reference) for key, engine in sides.items()}
    return {**found, "open_ms": open_ms, "largest_difference": apart, "left_out": left_out}


def key_of(side: str, threads: int) -> str:
    """The name of a side with a number of threads."""
    return f"{side}, {threads} thread{'s' * (threads > 1)}"


def timed(run: Callable[[], object]) -> Callable[[], Mapping[str, float]]:
    """A run that tells its milliseconds."""

    def once() -> dict[str, float]:
        began = time.perf_counter_ns()
        run()
        return {"ms": (time.perf_counter_ns() - began) / 1e6}

    return once


def share_apart(outputs: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference of any output, as a share of that output's largest number."""
    return max(
        float(np.abs(outputs[name] - right).max() / max(float(np.abs(right).max()), 1e-30))
        for name, right in reference.items()
    )


def print_times(kind: str, graphs: Mapping[str, Any]) -> None:
    """Prints medians and fastest runs."""
    print(f"{processor_name()} ({kind})")
    for name, found in graphs.items():
        for key, times in found["in_a_row"].items():
            rested = found["rested"][key]
            print(
                f"  {name:<16} {key:<28} min {times['min']:7.2f}  median {times['p50']:7.2f}  rested {rested['p50']:7.2f} ms"
                f"  apart {found['largest_difference'][key]:.1e}"
            )
        for side, why in found["left_out"].items():
            print(f"  {name:<16} {side:<28} left out: {why}")


if __name__ == "__main__":
    main()
