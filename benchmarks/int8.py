"""INT8 against FP32 on this CPU: the voice encoder on 8 s of speech, the default bundle's generator, the full-size one.

    python -m benchmarks.int8

All graphs of one kind take turns in one process, so that other load on the machine affects all alike. FP32 generators run in
two forms: with transposed convolutions as exported, and with plain convolutions (the form that INT8 needs). The gain of INT8
depends on the processor: one VNNI or dot-product instruction does the work of three others. The largest possible gain is
measured on plain layers of the sizes that occur here, four equal ones after another with nothing between them.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_size import networks
from benchmarks.interleave import Neighbours, take_turns
from benchmarks.options import no_options
from benchmarks.record import record
from benchmarks.roofline import instructions, work
from voxface.calibration.lowering import Lowering
from voxface.calibration.task_error import BEST_DB
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.sub_pixel import can_rewrite, rewrite
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.inference.face_estimator import FaceEstimator

CLIPS = sorted((Path(__file__).parent.parent / "examples").glob("*.flac"))
FRAMES = 800
ROUNDS = 300

# Operator, its attributes, shapes of what it reads and of its weights.
PLAIN: dict[str, tuple[str, dict[str, Any], list[int], list[int]]] = {
    "convolution_1d": ("Conv", {"kernel_shape": [3], "pads": [1, 1]}, [1, 384, 200], [384, 384, 3]),
    "convolution_2d": ("Conv", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, [1, 256, 16, 16], [256, 256, 2, 2]),
}
PLAIN_LAYERS = 4

Feeds = list[dict[str, NDArray[np.float32]]]


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    from voxface.export.onnx_export import embedding_spec, to_onnx

    bundle = Bundle.open()
    with Neighbours() as neighbours:
        with FaceEstimator(bundle) as face_estimator:
            heard = [face_estimator.listen(read_blocks(clip)).log_mel for clip in CLIPS]
        speech = [
            {"log_mel": network_input(log_mel, how=bundle.front_end.normalisation)[:, :, :FRAMES].copy()}
            for log_mel in heard
        ]
        with open_engine(bundle.graph("encoder")) as encoder:
            embeddings = [{"embedding": encoder.run(feed)["embedding"]} for feed in speech]
        full_size, _ = to_onnx(networks()["face"], embedding_spec("image"))
        compared = {
            "plain_layers": {name: compare(*plain_layers(*kind)) for name, kind in PLAIN.items()},
            "encoder_800_frames": compare(bundle.graph("encoder"), speech),
            "generator_default_bundle": compare(bundle.graph("face"), embeddings),
            "generator_full_size": compare(full_size, embeddings),
        }
    record(
        "int8",
        "python -m benchmarks.int8",
        {"rounds": ROUNDS, **neighbours.to_json(), "int8_instructions": instructions(), **compared},
        ("numpy", "onnx", "onnxruntime", "torch"),
    )


def compare(data: bytes, feeds: Feeds) -> dict[str, Any]:
    """Times of one graph as it is, rewritten, and with all of its layers in INT8, on one and two threads."""
    graph = Graph.from_bytes(data)
    lowering = Lowering({"graph": graph})
    lowering.observe("graph", feeds)
    operations = work(data, feeds[0]).operations
    forms = {"fp32": data}
    transposed = [node.name for node in graph.nodes if can_rewrite(graph, node)]
    if transposed:
        forms["fp32_as_convolutions"] = rewrite(graph, transposed).to_bytes()
    forms["int8"] = lowering.graph("graph", lowering.int8_candidates(), ()).to_bytes()
    found: dict[str, Any] = {
        "megabytes": {name: round(len(form) / 1e6, 2) for name, form in forms.items()},
        "gigaoperations": round(operations / 1e9, 4),
    }
    for threads in (1, 2):
        engines = {name: open_engine(form, threads=threads) for name, form in forms.items()}
        if threads == 1:
            found["int8_snr_db"] = _decibels(engines["fp32"], engines["int8"], feeds)
        found[f"{threads}_threads"] = _times(engines, feeds[0], operations)
    return found


def plain_layers(op: str, attributes: dict[str, Any], shape: list[int], weight: list[int]) -> tuple[bytes, Feeds]:
    """A graph of equal layers with random weights, and an input.

    The graph's output is the largest number of the last layer, so that this layer's own output can be INT8.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    fan_in = np.prod(weight[1:]) if op == "Conv" else weight[0]
    weights = [(rng.normal(size=weight) / np.sqrt(fan_in)).astype(np.float32) for _ in range(PLAIN_LAYERS)]
    names = ["x", *(f"x{k}" for k in range(PLAIN_LAYERS))]
    nodes = [
        helper.make_node(op, [names[k], f"w{k}"], [names[k + 1]], name=f"layer{k}", **attributes)
        for k in range(PLAIN_LAYERS)
    ]
    nodes.append(helper.make_node("ReduceMax", [names[-1]], ["y"], name="largest", keepdims=0))
    graph = helper.make_graph(
        nodes,
        "plain_layers",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(array, f"w{k}") for k, array in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString(), [{"x": rng.normal(size=shape).astype(np.float32)}]


def _times(engines: dict[str, Engine], feed: dict[str, NDArray[np.float32]], operations: float) -> dict[str, Any]:
    milliseconds = take_turns({name: partial(engine.run, feed) for name, engine in engines.items()}, ROUNDS)
    times = {
        name: {"p50_ms": round(float(np.median(t)), 3), "min_ms": round(float(t.min()), 3)}
        for name, t in milliseconds.items()
    }
    # Of the fastest runs: other programs slow runs down, and FP32 ones more, since they last longer.
    fastest = {name: float(t.min()) for name, t in milliseconds.items()}
    speed_up = {name: round(t / fastest["int8"], 2) for name, t in fastest.items() if name != "int8"}
    speed_up["fastest_fp32"] = min(speed_up.values())
    per_second = {name: round(operations / 1e6 / t, 1) for name, t in fastest.items()}
    return {**times, "gigaoperations_per_second": per_second, "speed_up_of_int8_over": speed_up}


def _decibels(reference: Engine, lowered: Engine, feeds: Feeds) -> float:
    """Signal-to-noise ratio of the first output, the worst input's."""
    name = next(iter(reference.outputs))
    worst = BEST_DB
    for feed in feeds:
        right, got = reference.run(feed)[name], lowered.run(feed)[name]
        worst = min(worst, float(10 * np.log10((right**2).mean() / ((got - right) ** 2).mean())))
    return round(worst, 1)


if __name__ == "__main__":
    main()
