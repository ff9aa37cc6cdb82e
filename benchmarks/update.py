"""One update of a live face with an 8 s window: the papers' way in PyTorch and in ONNX Runtime, and voxface.

    python -m benchmarks.update [--quick]

The same networks on all sides: the papers' at full size, with random weights, and those of the default bundle's sizes.
PyTorch, eager and compiled, and ONNX Runtime with its default settings compute the whole window at every update, features
included, as the published programs do (`papers_pipeline`); voxface is a live session that is fed 0.1 s of sound, and its
time includes everything up to the estimate: levels, VAD, features, speech gate, encoder, face, mesh and attributes. The sides
take turns, with a pause between, so that none runs beside spinning threads of another. INT8 means every layer that can be INT8,
on the same graphs; on a real model `voxface calibrate` leaves some in FP32.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import roofline
from benchmarks.full_size import default_generator, networks, write_bundle
from benchmarks.full_window import HOP, WINDOW_S, FullWindow
from benchmarks.interleave import Neighbours, Times, percentiles, take_turns_by_stage, times_as_long
from benchmarks.options import parser
from benchmarks.papers_pipeline import Network, PapersPipeline, log_mel_by_frame
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import MODES
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.voice_to_face import VoiceToFace

CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
WINDOWS_S: Final = (2, 4, 8, 16)
ROUNDS: Final = 40
PAUSE_S: Final = 0.005
LONGEST_WAIT: Final = (
    2000  # hops without an estimate of the full window, after which a session is not going to give one
)

Side = Callable[[], dict[str, float]]


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds, for a try")
    rounds = 5 if options.parse_args().quick else ROUNDS
    with Neighbours() as neighbours, tempfile.TemporaryDirectory() as folder:
        sound = np.concatenate(list(read_blocks(CLIP)))
        default = Bundle.open()
        full, small = networks(), networks(default_generator())
        sizes = {
            "full_size": (full, write_bundle(Path(folder) / "full", full)),
            "default_bundle": (small, default),
        }
        measured: dict[str, Any] = {}
        for name, (nets, bundle) in sizes.items():
            lowered = int8_bundle(Path(folder) / f"{name}-int8", bundle, sound)
            measured[name] = _compare(nets, bundle, lowered, sound, rounds)
        measured["growth"] = _growth(*sizes["full_size"], sound, max(5, rounds // 2))
    features = log_mel(sound)
    record(
        "update",
        "python -m benchmarks.update",
        {
            "window_s": WINDOW_S,
            "rounds": rounds,
            **neighbours.to_json(),
            "papers_log_mel_differs_by": float(np.abs(log_mel_by_frame(sound) - features).max()),
            **measured,
        },
        ("numpy", "onnx", "onnxruntime", "torch"),
    )


def _compare(
    nets: dict[str, Any], bundle: Bundle, lowered: Bundle, sound: NDArray[np.int16], rounds: int
) -> dict[str, Any]:
    speech = _speech(sound, WINDOW_S)
    found: dict[str, Any] = {"work": _work(bundle, speech)}
    for threads in (1, 2):
        with ExitStack() as opened:
            pipelines = {
                "pytorch_eager": pytorch(nets, threads),
                "pytorch_compiled": _compiled(nets, threads),
                "onnxruntime_naive": _naive(bundle, threads),
            }
            sides: dict[str, Side] = {name: _papers(pipeline, speech) for name, pipeline in pipelines.items()}
            for precision, which in (("fp32", bundle), ("int8", lowered)):
                voice_to_face = opened.enter_context(VoiceToFace(which, threads=threads))
                for mode in MODES:
                    sides[f"voxface_{mode}_{precision}"] = FullWindow(voice_to_face, sound, mode).update
            times = take_turns_by_stage(sides, rounds, pause_s=PAUSE_S)
        found[f"{threads}_threads"] = _report(times, found["work"], threads)
    return found


def _report(times: dict[str, dict[str, Times]], work: dict[str, Any], threads: int) -> dict[str, Any]:
    totals = {name: stages["total"] for name, stages in times.items()}
    best = next(name for name in reversed(totals) if name.endswith("fp32"))  # the last mode is the leaner one
    report: dict[str, Any] = {}
    for name, stages in times.items():
        whole = roofline.Work(**work["whole"])
        kept = roofline.Work(**work["incremental"]) if "incremental" in name else whole
        least = kept.least_ms(threads, "int8" if name.endswith("int8") else "fp32")
        report[name] = {
            "total_ms": percentiles(stages["total"]),
            "stages_p50_ms": {k: round(float(np.median(t)), 3) for k, t in stages.items() if k != "total"},
            "limit_ms": round(least, 3),
            "times_the_limit": round(float(np.median(stages["total"])) / least, 2),
        }
    return {"sides": report, "times_as_long_as": best, "times_as_long": times_as_long(totals, best)}


def _work(bundle: Bundle, speech: NDArray[np.int16]) -> dict[str, dict[str, float]]:
    """The work of the graphs for an update; in mode incremental only what 0.1 s of speech adds for the encoder."""
    encoder = roofline.work(
        bundle.graph("encoder"), {"log_mel": network_input(log_mel(speech), how=bundle.front_end.normalisation)}
    )
    decoders = roofline.Work(0, 0)
    for name in ("face", "mesh"):
        decoders += roofline.work(bundle.graph(name), {"embedding": np.full((1, 64), 0.125, np.float32)})
    share = HOP / bundle.front_end.hop / bundle.front_end.shortest
    added = roofline.Work(encoder.operations * share, encoder.megabytes)
    return {"encoder": asdict(encoder), "whole": asdict(encoder + decoders), "incremental": asdict(added + decoders)}


def _growth(nets: dict[str, Any], bundle: Bundle, sound: NDArray[np.int16], rounds: int) -> dict[str, Any]:
    """One update with windows of several lengths, one thread."""
    found: dict[str, Any] = {}
    eager = pytorch(nets, 1)
    with VoiceToFace(bundle, threads=1) as voice_to_face:
        sides: dict[str, Side] = {}
        for seconds in WINDOWS_S:
            sides[f"pytorch_eager {seconds}"] = _papers(eager, _speech(sound, seconds))
            for mode in MODES:
                sides[f"voxface_{mode}_fp32 {seconds}"] = FullWindow(voice_to_face, sound, mode, seconds).update
        times = take_turns_by_stage(sides, rounds, pause_s=PAUSE_S)
    for name, stages in times.items():
        side, seconds_ = name.split()
        row = found.setdefault(side, {"seconds": [], "p50_ms": [], "features_p50_ms": []})
        row["seconds"].append(int(seconds_))
        row["p50_ms"].append(round(float(np.median(stages["total"])), 3))
        row["features_p50_ms"].append(round(float(np.median(stages["features"])), 3))
    return found


def _papers(pipeline: PapersPipeline, speech: NDArray[np.int16]) -> Side:
    return lambda: pipeline.update(speech)


def pytorch(nets: dict[str, Any], threads: int) -> PapersPipeline:
    """The papers' pipeline with these networks in eager PyTorch."""
    import torch

    def runs(network: Any, first: bool) -> Network:
        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found = network(torch.from_numpy(x))
            answer: NDArray[np.float32] = (found[0] if first else found).numpy()
            return answer

        return run

    return PapersPipeline(*(runs(nets[name], name == "encoder") for name in ("encoder", "face", "mesh")))


def _compiled(nets: dict[str, Any], threads: int) -> PapersPipeline:
    import torch

    torch.set_num_threads(threads)  # the compiler writes the number of threads into what it makes
    torch._dynamo.reset()
    return pytorch({name: torch.compile(network, dynamic=False) for name, network in nets.items()}, threads)


def _naive(bundle: Bundle, threads: int) -> PapersPipeline:
    """The papers' pipeline in ONNX Runtime with default settings, new arrays at each run, and graphs as exported."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def runs(name: str) -> Network:
        session = onnxruntime.InferenceSession(bundle.graph(name), options, providers=["CPUExecutionProvider"])
        entry = session.get_inputs()[0].name

        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            answer: NDArray[np.float32] = session.run(None, {entry: x})[0]
            return answer

        return run

    return PapersPipeline(runs("encoder"), runs("face"), runs("mesh"))


def int8_bundle(folder: Path, bundle: Bundle, sound: NDArray[np.int16]) -> Bundle:
    """A bundle whose every layer that can be is INT8, calibrated on a sound, written to a folder."""
    feeds = {"encoder": {"log_mel": network_input(log_mel(sound), how=bundle.front_end.normalisation)}}
    with VoiceToFace(bundle, threads=1) as voice_to_face:
        feeds["face"] = {"embedding": voice_to_face.estimate_file(CLIP)[1].embedding[None]}
    files = {
        bundle.manifest.graphs[name].file: roofline.forms(bundle.graph(name), feed)["int8"]
        for name, feed in feeds.items()
    }
    return bundle.replacing(files=files).write(folder)


def _speech(sound: NDArray[np.int16], seconds: int) -> NDArray[np.int16]:
    return np.resize(sound, seconds * SAMPLE_RATE)


if __name__ == "__main__":
    main()
