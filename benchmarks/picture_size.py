"""What a picture of 128 pixels costs beside one of 64: the generator alone, and a whole update of the default bundle with it.

    python -m benchmarks.picture_size [--quick]

The generators of `voxface train portrait` with the channels of each size, and 128 px with the channels of 64 px. Their weights
are random: the time does not depend on them. INT8 means every layer that can be INT8; on a real model `voxface calibrate`
leaves some in FP32. An update is a live session with a window of 8 s that hears 0.1 s of sound, see `benchmarks.update`. One
thread; the sides take turns.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import roofline
from benchmarks.full_window import WINDOW_S, FullWindow
from benchmarks.interleave import Neighbours, percentiles, take_turns, take_turns_by_stage, times_as_long
from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import MODES
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.voice_to_face import VoiceToFace

CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
BASE: Final = "64 px"
SLOWER: Final = 1.10  # times as long as with 64 px that an update with 128 px may take
ROUNDS: Final = {"generator": 300, "update": 60}
PAUSE_S: Final = 0.005


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds, for a try")
    share = 10 if options.parse_args().quick else 1
    with Neighbours() as neighbours, tempfile.TemporaryDirectory() as folder:
        sound = np.concatenate(list(read_blocks(CLIP)))
        graphs = generators()
        measured = {
            "generator": _generators(graphs, ROUNDS["generator"] // share),
            "update": _updates(Path(folder), graphs, sound, ROUNDS["update"] // share),
        }
    record(
        "picture_size",
        "python -m benchmarks.picture_size",
        {
            "window_s": WINDOW_S,
            "threads": 1,
            "rounds": {name: rounds // share for name, rounds in ROUNDS.items()},
            "may_take_times_as_long": SLOWER,
            **neighbours.to_json(),
            **measured,
        },
        ("numpy", "onnx", "onnxruntime", "torch"),
    )


def generators() -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Name -> channels and graph of a generator."""
    import torch

    from voxface.export.onnx_export import embedding_spec, to_onnx
    from voxface.training.models import FaceGenerator
    from voxface.training.trainers.portrait import CHANNELS

    forms = {f"{size} px": (size, channels) for size, channels in CHANNELS.items()}
    forms["128 px, channels of 64"] = 128, CHANNELS[64]
    found = {}
    for name, (size, channels) in forms.items():
        torch.manual_seed(0)
        generator = FaceGenerator(channels=channels, size=size).eval()
        found[name] = channels, to_onnx(generator, embedding_spec("image"))[0]
    return found


def _embedding() -> dict[str, NDArray[np.float32]]:
    return {"embedding": np.full((1, 64), 0.125, np.float32)}


def _generators(graphs: dict[str, tuple[tuple[int, ...], bytes]], rounds: int) -> dict[str, Any]:
    """Milliseconds of each generator alone."""
    feed = _embedding()
    forms = {
        (name, precision): form
        for name, (_, data) in graphs.items()
        for precision, form in roofline.forms(data, feed).items()
    }
    engines = {key: open_engine(form, threads=1) for key, form in forms.items()}
    times = take_turns({" ".join(key): partial(engine.run, feed) for key, engine in engines.items()}, rounds)
    found: dict[str, Any] = {}
    for name, (channels, data) in graphs.items():
        row: dict[str, Any] = {
            "channels": channels,
            "megaoperations": round(roofline.work(data, feed).operations / 1e6, 1),
            "megabytes": round(len(data) / 1e6, 2),
        }
        for precision in ("fp32", "int8"):
            own, base = times[f"{name} {precision}"], times[f"{BASE} {precision}"]
            row[precision] = {"ms": percentiles(own), "times_as_long": round(float(np.median(own / base)), 3)}
        found[name] = row
    return found


def _updates(
    folder: Path, graphs: dict[str, tuple[tuple[int, ...], bytes]], sound: NDArray[np.int16], rounds: int
) -> dict[str, Any]:
    """Milliseconds of an update of the default bundle with each generator in the place of its own."""
    base = Bundle.open()
    features = network_input(log_mel(sound), how=base.front_end.normalisation)
    encoder = roofline.forms(base.graph("encoder"), {"log_mel": features})
    found: dict[str, Any] = {}
    for precision in ("fp32", "int8"):
        with ExitStack() as opened:
            sides = {}
            for name, (_, data) in graphs.items():
                bundle = with_graphs(
                    base, {"encoder": encoder[precision], "face": roofline.forms(data, _embedding())[precision]}
                ).write(folder / f"{name}, {precision}")
                voice_to_face = opened.enter_context(VoiceToFace(bundle, threads=1))
                for mode in MODES:
                    sides[name, mode] = FullWindow(voice_to_face, sound, mode).update
            times = take_turns_by_stage({" ".join(key): side for key, side in sides.items()}, rounds, pause_s=PAUSE_S)
        for mode in MODES:
            totals = {name: times[f"{name} {mode}"]["total"] for name in graphs}
            found[f"{mode}_{precision}"] = {
                "ms": {name: percentiles(total) for name, total in totals.items()},
                "face_p50_ms": {name: round(float(np.median(times[f"{name} {mode}"]["face"])), 3) for name in graphs},
                "times_as_long": times_as_long(totals, BASE),
            }
    return found


def with_graphs(bundle: Bundle, graphs: dict[str, bytes]) -> Bundle:
    """The bundle with other graphs, and what the manifest says of them, in memory."""
    from voxface.export.onnx_export import graph_entry

    entries = {name: graph_entry(bundle.manifest.graphs[name].file, data) for name, data in graphs.items()}
    return bundle.replacing(files={entries[name].file: data for name, data in graphs.items()}, graphs=entries)


if __name__ == "__main__":
    main()
