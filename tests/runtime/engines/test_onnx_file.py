"""The check of ONNX files: nothing that points outside, wherever it hides."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
helper, Tensor = onnx.helper, onnx.TensorProto


def outside(where: str = "secret.bin") -> Any:
    """A tensor whose bytes lie in another file."""
    tensor = Tensor(name="outside", data_type=Tensor.UINT8, dims=[1, 4], data_location=Tensor.EXTERNAL)
    for key, value in (("location", where), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def model(nodes: list[Any], weights: tuple[Any, ...] = (), **more: Any) -> Any:
    """A model x [1, 4] -> y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", Tensor.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", Tensor.FLOAT, None)],
        list(weights),
        **more,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


ADD = [helper.make_node("Cast", ["outside"], ["w"], to=Tensor.FLOAT), helper.make_node("Add", ["x", "w"], ["y"])]


def in_branch(tensor: Any) -> Any:
    constant = helper.make_node("Constant", [], ["outside"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("outside", Tensor.UINT8, [1, 4])])
    go = onnx.numpy_helper.from_array(np.array(True), "go")
    return model([helper.make_node("If", ["go"], ["y"], then_branch=inner, else_branch=inner)], (go,))


def in_function(tensor: Any) -> Any:
    made = model([helper.make_node("f", [], ["y"], domain="own")])
    constant = helper.make_node("Constant", [], ["outside"], value=tensor)
    made.functions.append(helper.make_function("own", "f", [], ["outside"], [constant], []))
    return made


def in_default_of_a_function(tensor: Any) -> Any:
    made = model([])
    function = helper.make_function("own", "f", [], ["a"], [], [])
    function.attribute_proto.append(helper.make_attribute("weights", tensor))
    made.functions.append(function)
    return made


PLACES: dict[str, Callable[[Any], Any]] = {
    "weight": lambda tensor: model(ADD, (tensor,)),
    "constant": lambda tensor: model([helper.make_node("Constant", [], ["outside"], value=tensor), *ADD]),
    "branch": in_branch,
    "function": in_function,
    "function's default": in_default_of_a_function,
    "list of tensors": lambda tensor: model([helper.make_node("Add", ["x", "x"], ["y"], weights=[tensor, tensor])]),
}


@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("where", ["secret.bin", "../secret.bin", "*/_ORT_MEM_ADDR_/*", ""])
def test_external_data_is_found_wherever_it_is(place: str, where: str) -> None:
    with pytest.raises(ValueError, match="external data"):
        check_onnx_file(PLACES[place](outside(where)).SerializeToString())


def test_a_file_of_the_working_directory_stays_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime reads it, if it is asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(b"\1\2\3\4")
    with pytest.raises(BundleError, match="graph: the graph is refused: it has external data"):
        open_engine(model(ADD, (outside(),)).SerializeToString())


def test_either_half_of_external_data_is_enough() -> None:
    only_location, only_flag = outside(), outside()
    only_location.ClearField("data_location")
    only_flag.ClearField("external_data")
    for tensor in (only_location, only_flag):
        with pytest.raises(ValueError, match="external data"):
            check_onnx_file(model(ADD, (tensor,)).SerializeToString())


def test_numbers_written_longer_than_needed_hide_nothing() -> None:
    """Protobuf takes a tag of up to five bytes, of which it keeps 32 bits."""
    data = model(ADD, (outside(),)).SerializeToString()
    flag = b"\x70\x01"  # data_location = EXTERNAL
    assert data.count(flag) == 1
    without = model(ADD, (outside(),))
    without.graph.initializer[0].ClearField("external_data")
    without.graph.initializer[0].ClearField("data_location")
    for longer in (b"\xf0\x00", b"\xf0\x80\x00", b"\xf0\x80\x80\x80\x10", b"\xf0\x80\x80\x80\x70"):
        tensor = without.graph.initializer[0].SerializeToString() + longer + b"\x01"
        graph = without.graph.SerializeToString() + b"\x2a" + bytes([len(tensor)]) + tensor
        with pytest.raises(ValueError, match=r"external data|damaged"):
            check_onnx_file(b"\x3a" + _length(len(graph)) + graph)


def _length(number: int) -> bytes:
    return bytes([number & 127 | 128, number >> 7]) if number > 127 else bytes([number])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"not a graph", "damaged"),
        (b"\x00\x00\x00\x00ORTM" + bytes(64), "own format"),
        (b"\x3a\x05ab", "damaged"),
        (b"\x0b" + bytes(20), "damaged"),
        (b"\x08" + b"\xff" * 11, "damaged"),
    ],
)
def test_what_is_no_onnx_file(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_onnx_file(data)


def test_tensors_that_stand_for_more_than_they_hold() -> None:
    huge = Tensor(name="w", data_type=Tensor.FLOAT, dims=[1 << 40], raw_data=b"\0\0\0\0")
    with pytest.raises(ValueError, match=r"a tensor of 1\.1e\+12 numbers in \d+ bytes"):
        check_onnx_file(model([], (huge,)).SerializeToString())
    values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = onnx.numpy_helper.from_array(np.zeros(1, np.int64), "i")
    sparse = helper.make_sparse_tensor(values, indices, [1 << 33])
    with pytest.raises(ValueError, match="sparse tensor"):
        check_onnx_file(model([], sparse_initializer=[sparse]).SerializeToString())
    node = helper.make_node("Constant", [], ["y"], sparse_value=sparse)
    with pytest.raises(ValueError, match="sparse tensor"):
        check_onnx_file(model([node]).SerializeToString())


def test_operators_that_read_files_and_graphs_without_bottom() -> None:
    context = helper.make_node("EPContext", [], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    with pytest.raises(ValueError, match="EPContext reads another file"):
        check_onnx_file(model([context]).SerializeToString())
    inner = helper.make_graph([], "bottom", [], [])
    for _ in range(30):
        inner = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "deep", [], [])
    made = onnx.ModelProto()
    made.graph.CopyFrom(inner)
    with pytest.raises(ValueError, match="nested more than"):
        check_onnx_file(made.SerializeToString())


def test_the_check_takes_no_memory_for_messages_that_are_still_to_be_read() -> None:
    """A message every two bytes: a list of them would take 70 times as much as the file."""
    nodes = b"\x0a\x00" * 20_000
    tracemalloc.start()
    try:
        check_onnx_file(b"\x3a" + bytes([0xC0, 0xB8, 0x02]) + nodes)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_honest_graphs_pass(default_bundle: Bundle) -> None:
    for name in default_bundle.graphs:
        check_onnx_file(default_bundle.graph(name))
