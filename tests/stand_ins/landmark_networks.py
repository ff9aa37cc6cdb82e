"""ONNX files that stand in for landmark detectors: whatever the picture, they answer with landmarks known beforehand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


def write_graph(
    path: Path,
    outputs: NDArray[np.floating],
    *,
    shape: tuple[Any, ...] = (1, 3, 64, 64),
    dtype: str = "float32",
) -> Path:
    """An ONNX file whose output is always `outputs`, plus nothing times the picture, so that the input is used."""
    onnx = pytest.importorskip("onnx")
    helper, tensors = onnx.helper, onnx.TensorProto
    kind = {"float32": tensors.FLOAT, "int64": tensors.INT64}[dtype]
    nodes = [
        helper.make_node("Cast", ["picture"], ["real"], to=tensors.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "known"], ["landmarks"]),
    ]
    graph = helper.make_graph(
        nodes,
        "landmarks",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("landmarks", tensors.FLOAT, outputs.shape)],
        [
            onnx.numpy_helper.from_array(np.zeros((), np.float32), "zero"),
            onnx.numpy_helper.from_array(outputs.astype(np.float32), "known"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def heat_maps(places: NDArray[np.float32], size: int = 32) -> NDArray[np.float32]:
    """Gaussian bumps [1, 68, size, size] at places [68, 2], shares of width and height."""
    at = (np.arange(size) + 0.5) / size
    x = np.exp(-(((at - places[:, :1]) * size / 1.5) ** 2) / 2)
    y = np.exp(-(((at - places[:, 1:]) * size / 1.5) ** 2) / 2)
    return (y[:, :, None] * x[:, None, :]).astype(np.float32)[None]


def write_face_graph(
    path: Path, boxes: NDArray[np.floating], scores: NDArray[np.floating], size: tuple[int, int]
) -> Path:
    """An ONNX file of a face detector that always finds these boxes [N, 4] with these scores [N]; `size`: height, width."""
    onnx = pytest.importorskip("onnx")
    helper, tensors = onnx.helper, onnx.TensorProto
    known = {"scores": np.stack([1 - scores, scores], 1)[None], "boxes": boxes[None]}
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", ["nothing", f"known_{name}"], [name]) for name in known),
    ]
    graph = helper.make_graph(
        nodes,
        "faces",
        [helper.make_tensor_value_info("picture", tensors.FLOAT, (1, 3, *size))],
        [helper.make_tensor_value_info(name, tensors.FLOAT, array.shape) for name, array in known.items()],
        [
            onnx.numpy_helper.from_array(np.zeros((), np.float32), "zero"),
            *(onnx.numpy_helper.from_array(array.astype(np.float32), f"known_{name}") for name, array in known.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path
