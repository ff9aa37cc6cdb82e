"""Graphs against PyTorch: full-size networks, several lengths, both ways of storing weights."""

import copy
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from voxface.export.onnx_export import (  # noqa: E402
    OPSET,
    GraphSpec,
    compare_with_torch,
    embedding_spec,
    encoder_spec,
    graph_entry,
    round_to_fp16,
    to_onnx,
)
from voxface.training.models import FaceGenerator, VoiceEncoder  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.slow]


def trained_like(network: "torch.nn.Module") -> "torch.nn.Module":
    """Random batch statistics, so that folding the normalisation has something to fold."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.2, 3)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return network.eval()


@pytest.fixture(scope="module")
def encoder() -> "torch.nn.Module":
    return trained_like(VoiceEncoder())


@pytest.fixture(scope="module")
def encoder_graph(encoder: "torch.nn.Module") -> bytes:
    return to_onnx(encoder, encoder_spec())[0]


def test_encoder_agrees_at_every_length(encoder: "torch.nn.Module", encoder_graph: bytes) -> None:
    lengths = [64, 65, 300, 999, 1000, 1001, 2500]
    spec = encoder_spec()
    several = GraphSpec(spec.inputs, spec.outputs, [(torch.randn(2, 64, t),) for t in lengths], spec.dynamic)
    worst = compare_with_torch(encoder, encoder_graph, several)
    assert worst["embedding"] < 1e-4
    assert worst["columns"] < 1e-3


def test_encoder_graph_is_what_the_manifest_will_say(encoder_graph: bytes) -> None:
    assert graph_entry("encoder.onnx", encoder_graph).to_json() == {
        "file": "encoder.onnx",
        "inputs": {"log_mel": {"dtype": "float32", "shape": ["B", 64, "T"]}},
        "outputs": {
            "embedding": {"dtype": "float32", "shape": ["B", 64]},
            "columns": {"dtype": "float32", "shape": ["B", 64, "C"]},
        },
    }
    model = onnx.load_from_string(encoder_graph)
    assert model.opset_import[0].version == OPSET
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_nothing_of_the_exporting_machine_stays_in_the_graph(encoder_graph: bytes) -> None:
    for trace in (b"site-packages", b"/home/", b"/root/", b"pkg.torch"):
        assert trace not in encoder_graph
    # Names of files, not ".py" alone: three bytes stand among millions of weights by chance.
    assert not re.search(rb"\w{4,}\.py\b", encoder_graph)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("kernel", ["k4", "k3"])
def test_full_size_generator_agrees(kernel: str, size: int) -> None:
    torch.manual_seed(1)
    network = FaceGenerator(kernel=kernel, size=size).eval()  # type: ignore[arg-type]
    for parameter in network.parameters():
        parameter.data *= 2  # out of the tiny range a fresh network has
    data, worst = to_onnx(network, embedding_spec("image"))
    assert worst["image"] < 1e-3
    assert graph_entry("face.onnx", data).to_json()["outputs"]["image"]["shape"] == ["B", 3, size, size]


def test_a_generator_with_batch_normalisation_agrees() -> None:
    torch.manual_seed(2)
    network = FaceGenerator(channels=(32, 32, 16, 16, 8), style="dcgan")
    for _ in range(3):
        network(torch.randn(8, 64))
    for storage in (False, True):
        _, worst = to_onnx(network.eval(), embedding_spec("image"), fp16_storage=storage)
        assert worst["image"] < (1e-5 if not storage else 1e-2)


def test_half_storage_is_lossless_for_rounded_weights_and_half_the_size(
    encoder: "torch.nn.Module", encoder_graph: bytes
) -> None:
    before = copy.deepcopy(encoder.state_dict())
    rounded = round_to_fp16(encoder)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items()), "works on a copy"
    graph, worst = to_onnx(rounded, encoder_spec(), fp16_storage=True)
    assert worst["embedding"] < 1e-6
    assert len(graph) < 0.52 * len(encoder_graph)
    away = compare_with_torch(encoder, graph, encoder_spec())["embedding"]
    assert 1e-7 < away < 1e-3


def test_a_planted_fault_is_found(encoder: "torch.nn.Module", encoder_graph: bytes) -> None:
    model = onnx.load_from_string(encoder_graph)
    weight = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0] += 0.5
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    assert compare_with_torch(encoder, model.SerializeToString(), encoder_spec())["embedding"] > 1e-4
