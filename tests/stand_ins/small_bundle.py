"""A bundle of three small graphs written by hand, with a hazard planted in one of them where a test wants it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.stand_ins.sphere import sphere
from voxface.calibration.clips import LONGEST, Clip, Clips
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import Manifest
from voxface.runtime.bundle.writer import write_folder
from voxface.runtime.engines.opening import open_engine

SIZE = 8
Steps = list[tuple[str, list[str], str, dict[str, Any]]]


def graph(
    steps: Steps,
    constants: dict[str, NDArray[Any]],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    opset: int = 18,
) -> bytes:
    """An ONNX file of nodes (operator, inputs, output, attributes), each named after its output."""
    made = helper.make_graph(
        [helper.make_node(op, read, [write], name=f"the_{write}", **more) for op, read, write, more in steps],
        "small",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def single(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def encoder(hazard: str = "") -> bytes:
    """log_mel [B, 64, T] -> embedding [B, SIZE], columns [B, SIZE, C].

    Hazards: "long sum" makes columns of some thousands before their mean is taken; "tiny variance" normalises numbers of
    about 1e-5 by a variance of 1e-10.
    """
    rng = np.random.default_rng(3)
    constants: dict[str, NDArray[Any]] = {
        "w": (rng.normal(size=(16, 64, 32)) / 45).astype(np.float32),
        "b": rng.normal(size=16).astype(np.float32),
        "v": (rng.normal(size=(SIZE, 16, 1)) / 4).astype(np.float32),
        "time": np.array([2]),
        "all": np.array([1]),
        "large": single(3000),
        "small": single(1e-5),
        "one": np.ones(SIZE, np.float32),
        "zero": np.zeros(SIZE, np.float32),
        "variance": np.full(SIZE, 1e-10, np.float32),
    }
    steps: Steps = [
        ("Conv", ["log_mel", "w", "b"], "first", {"strides": [32], "kernel_shape": [32], "pads": [0, 31]}),
        ("Relu", ["first"], "positive", {}),
        ("Conv", ["positive", "v"], "columns", {"kernel_shape": [1]}),
    ]
    ready = "columns"
    if hazard == "long sum":
        steps.append(("Mul", ["columns", "large"], "loud", {}))
        ready = "loud"
    if hazard == "tiny variance":
        steps.append(("Mul", ["columns", "small"], "faint", {}))
        normalise = ["faint", "one", "zero", "zero", "variance"]
        steps.append(("BatchNormalization", normalise, "normal", {"epsilon": 1e-12}))
        ready = "normal"
    steps += [
        ("ReduceMean", [ready, "time"], "mean", {"keepdims": 0}),
        ("ReduceL2", ["mean", "all"], "norm", {}),
        ("Div", ["mean", "norm"], "embedding", {}),
    ]
    read = {name for _, inputs, _, _ in steps for name in inputs}
    return graph(
        steps,
        {name: array for name, array in constants.items() if name in read},
        {"log_mel": ["B", 64, "T"]},
        {"embedding": ["B", SIZE], "columns": ["B", SIZE, "C"]},
    )


def face(last: str = "Tanh") -> bytes:
    """embedding [B, SIZE] -> image [B, 3, 16, 16], by three kinds of transposed convolution; `last`: Tanh, or "" for a 1×1
    layer that gives out the image itself, or "double" for a layer that gives it out twice as large."""
    rng = np.random.default_rng(4)
    kernel, side = (4, 32) if last == "double" else (1, 16)
    shapes = {"w1": (SIZE, 12, 4, 4), "w2": (12, 8, 4, 4), "w3": (8, 6, 4, 4), "w4": (6, 3, kernel, kernel)}
    constants: dict[str, NDArray[Any]] = {
        name: (rng.normal(size=shape) / np.sqrt(shape[0] * 4)).astype(np.float32) for name, shape in shapes.items()
    }
    constants |= {f"b{k}": (0.1 * rng.normal(size=n)).astype(np.float32) for k, n in ((1, 12), (2, 8), (3, 6), (4, 3))}
    constants["axes"] = np.array([2, 3])
    double = {"strides": [2, 2], "pads": [1, 1, 1, 1], "kernel_shape": [4, 4]}
    steps: Steps = [
        ("Unsqueeze", ["embedding", "axes"], "dot", {}),
        ("ConvTranspose", ["dot", "w1", "b1"], "map4", {}),
        ("Relu", ["map4"], "relu4", {}),
        ("ConvTranspose", ["relu4", "w2", "b2"], "map8", double),
        ("Relu", ["map8"], "relu8", {}),
        ("ConvTranspose", ["relu8", "w3", "b3"], "map16", double),
        ("Relu", ["map16"], "relu16", {}),
        (
            "ConvTranspose",
            ["relu16", "w4", "b4"],
            "flat" if last == "Tanh" else "image",
            double if last == "double" else {},
        ),
    ]
    if last == "Tanh":
        steps.append((last, ["flat"], "image", {}))
    return graph(steps, constants, {"embedding": ["B", SIZE]}, {"image": ["B", 3, side, side]})


def mesh(hazard: str = "") -> bytes:
    """embedding [B, SIZE] -> coefficients [B, 2].

    Hazards: "micrometres" has weights of some 100 000 that are scaled back afterwards; "subnormal" has weights of 1e-7 that
    are scaled up.
    """
    rng = np.random.default_rng(5)
    scale = {"micrometres": 3e5, "subnormal": 1e-7}.get(hazard, 1.0)
    constants = {
        "w": (scale * rng.uniform(0.5, 1, size=(SIZE, 2)) * rng.choice([-1, 1], size=(SIZE, 2))).astype(np.float32),
        "b": (scale * rng.normal(size=2)).astype(np.float32),
    }
    steps: Steps = [("Gemm", ["embedding", "w", "b"], "coefficients", {})]
    if hazard:
        constants["back"] = single(1 / scale)
        steps = [("Gemm", ["embedding", "w", "b"], "scaled", {}), ("Mul", ["scaled", "back"], "coefficients", {})]
    return graph(steps, constants, {"embedding": ["B", SIZE]}, {"coefficients": ["B", 2]})


def signature(data: bytes) -> dict[str, Any]:
    with open_engine(data, threads=1) as engine:
        return {
            kind: {name: {"dtype": spec.dtype, "shape": list(spec.shape)} for name, spec in specs.items()}
            for kind, specs in (("inputs", engine.inputs), ("outputs", engine.outputs))
        }


def small_bundle(path: Path, hazard: str = "") -> Bundle:
    """Writes and opens a bundle with at most one hazard."""
    files = {
        "encoder.onnx": encoder(hazard),
        "face.onnx": face(),
        "mesh.onnx": mesh(hazard if hazard in ("micrometres", "subnormal") else ""),
        "morphable.npz": sphere().to_bytes(),
        "model_card.md": b"# small\n",
    }
    manifest: dict[str, Any] = {
        "name": "small",
        "version": "1",
        "front_end": {},
        "vad": {},
        "graphs": {
            name: {"file": f"{name}.onnx", **signature(files[f"{name}.onnx"])} for name in ("encoder", "face", "mesh")
        },
        "morphable_model": {"file": "morphable.npz", "provenance": "a test"},
        "model_card": {"file": "model_card.md"},
        "precision": {"storage": "float32", "arithmetic": "float32", "largest_difference_from_pytorch": {"image": 0.5}},
    }
    write_folder(path, Manifest.from_json(manifest), files)
    return Bundle.open(path)


def noise_clips(count: int = 8) -> Clips:
    """Normalised noise in place of speech, which these graphs know no better."""
    rng = np.random.default_rng(6)
    clips = [Clip(f"{k}.wav", rng.normal(size=(1, 64, 1000 + 100 * k)).astype(np.float32)) for k in range(count)]
    longest = [np.ascontiguousarray(np.tile(c.log_mel, 7)[:, :, :LONGEST]) for c in clips[:2]]
    return Clips(
        tuple(clips[::2]),
        tuple(clips[1::2]),
        Clip("0.wav repeated", longest[0]),
        Clip("1.wav repeated", longest[1]),
        (),
    )
