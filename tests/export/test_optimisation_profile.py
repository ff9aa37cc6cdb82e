"""Shapes to build for."""

import pytest

from voxface.runtime.bundle.graph_entries import TensorEntry
from voxface.runtime.errors import UsageError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")

from voxface.export.optimisation_profile import DimensionRange, input_shapes, read_range  # noqa: E402

pytestmark = pytest.mark.train


def test_profiles() -> None:
    inputs = {
        "x": TensorEntry(dtype="float32", shape=("B", 64, "T")),
        "y": TensorEntry(dtype="float32", shape=(3,)),
    }
    ranges = {"B": DimensionRange(1, 1, 2), "T": DimensionRange(5, 6, 7)}
    assert {name: shapes.to_json() for name, shapes in input_shapes(inputs, ranges).items()} == {
        "x": {"min": [1, 64, 5], "opt": [1, 64, 6], "max": [2, 64, 7]},
        "y": {"min": [3], "opt": [3], "max": [3]},
    }
    with pytest.raises(UsageError, match="dimension 'K'; give its lengths: --profile K=1,1,1"):
        input_shapes({"x": TensorEntry(dtype="float32", shape=("K",))}, ranges)
    assert read_range("T=1,2,3") == ("T", DimensionRange(1, 2, 3))
