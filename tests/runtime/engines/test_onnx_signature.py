"""The signature of an ONNX file, read without a library."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.onnx_signature import signature_of
from voxface.runtime.engines.opening import open_engine

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
KINDS = {1: "float32", 3: "int8", 7: "int64", 9: "bool", 10: "float16"}
shapes = st.lists(st.one_of(st.integers(1, 1 << 40), st.sampled_from(["B", "T", "länge"]), st.none()), max_size=4)


@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_what_onnx_runtime_reads(default_bundle: Bundle, name: str) -> None:
    inputs, outputs = signature_of(default_bundle.graph(name))
    with open_engine(default_bundle.graph(name)) as engine:
        assert inputs == engine.inputs
        assert outputs.keys() == engine.outputs.keys()
        for key, spec in outputs.items():
            assert (spec.dtype, len(spec.shape)) == (engine.outputs[key].dtype, len(engine.outputs[key].shape))


@given(kind=st.sampled_from(sorted(KINDS)), shape=shapes)
@settings(max_examples=30, deadline=None)
def test_any_shape_is_read_back(kind: int, shape: list[int | str | None]) -> None:
    helper = onnx.helper
    value = helper.make_tensor_value_info
    weight = helper.make_tensor("w", 1, [1], [1.0])
    made = helper.make_graph([], "g", [value("a", kind, shape), value("w", 1, [1])], [value("b", kind, None)], [weight])
    inputs, outputs = signature_of(helper.make_model(made).SerializeToString())
    assert inputs == {"a": TensorSpec(KINDS[kind], tuple("?" if n is None else n for n in shape))}, (
        "a weight is no input"
    )
    assert outputs == {"b": TensorSpec(KINDS[kind], ())}


@pytest.mark.parametrize("data", [b"", b"\x08\x07", b"\x3a\x05\x0a"])
def test_a_file_without_a_graph(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no graph|damaged"):
        signature_of(data)
