"""PyTorch networks as ONNX graphs. Each graph is compared with PyTorch at several sizes before it is handed out."""

import logging
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.dimension_names import name_dimensions
from voxface.onnx_graph.passes.fp16 import FP16_FROM, store_fp16
from voxface.runtime.bundle.graph_entries import GraphEntry, tensor_entries

OPSET = 18


@dataclass(frozen=True)
class GraphSpec:
    """The settings with which a network is exported.

    Attributes:
        inputs: names of the inputs, in the order of `forward`.
        outputs: names of the outputs, in the order in which `forward` returns them.
        examples: inputs to trace with and to verify on, one tuple for each size.
        dynamic: input -> {axis: name of the dimension}, for dimensions whose length is free.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: Sequence[tuple[Tensor, ...]]
    dynamic: dict[str, dict[int, str]]


def encoder_spec(mels: int = 64) -> GraphSpec:
    """The encoder: log_mel [B, mels, T] -> embedding [B, E], columns [B, E, ceil(T / 32)]."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((1, 1000), (1, 1001), (1, 1733), (1, 64), (3, 320))
    examples = [(torch.randn(b, mels, t, generator=generator),) for b, t in sizes]
    return GraphSpec(("log_mel",), ("embedding", "columns"), examples, {"log_mel": {0: "B", 2: "T"}})


def embedding_spec(output: str, size: int = 64) -> GraphSpec:
    """A network after the encoder: embedding [B, E] -> one output."""
    generator = torch.Generator().manual_seed(0)
    examples = [(nn.functional.normalize(torch.randn(b, size, generator=generator), dim=1),) for b in (1, 2, 7)]
    return GraphSpec(("embedding",), (output,), examples, {"embedding": {0: "B"}})


def to_onnx(network: nn.Module, spec: GraphSpec, *, fp16_storage: bool = False) -> tuple[bytes, dict[str, float]]:
    """The ONNX file of a network, and the largest difference of each output from PyTorch over all examples.

    Args:
        network: a network in eval mode.
        spec: names, examples and dynamic dimensions.
        fp16_storage: store large weights that FP16 holds exactly as FP16, cast to FP32 when the graph is loaded: all large
            weights of a network from `round_to_fp16`. The arithmetic stays FP32.

    Raises:
        ValueError: the exporter gave another opset than was asked for.
        BundleError: the exporter's graph is not valid.
    """
    shapes = tuple(dict.fromkeys(spec.dynamic.get(name, {}), torch.export.Dim.DYNAMIC) or None for name in spec.inputs)
    # The exporter would take a batch of one for a constant, so it gets a batch of two.
    traced = tuple(torch.cat([x, x]) if x.shape[0] == 1 else x for x in spec.examples[0])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            traced,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = Graph.from_bytes(program.model_proto.SerializeToString())
    if graph.opset != OPSET:
        raise ValueError(f"asked for opset {OPSET}, the exporter gave {graph.opset}")
    graph = name_dimensions(graph, spec.dynamic, other="C")
    data = (store_fp16(graph) if fp16_storage else graph).to_bytes()
    return data, compare_with_torch(network, data, spec)


def round_to_fp16(network: nn.Module) -> nn.Module:
    """A copy of a network in eval mode with batch normalisation folded and large weights rounded to FP16.

    Weights are rounded here, after folding, so that the graph holds exactly the weights of this copy, and any difference
    between the two comes from the exporter.
    """
    copy = deepcopy(network)
    for module in copy.modules():
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                convolution, norm = module[index], module[index + 1]
                if (isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d)) or (
                    isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
                ):
                    module[index] = fuse_conv_bn_eval(convolution, norm)
                    module[index + 1] = nn.Identity()
    with torch.no_grad():
        for parameter in copy.parameters():
            if parameter.numel() >= FP16_FROM:
                parameter.copy_(parameter.half().float())
    return copy


def compare_with_torch(network: nn.Module, graph: bytes, spec: GraphSpec) -> dict[str, float]:
    """Largest absolute difference of each output between PyTorch and ONNX Runtime, over the examples of a spec.

    Raises:
        ValueError: an output has another shape in ONNX.
    """
    from voxface.runtime.engines.opening import open_engine

    worst = dict.fromkeys(spec.outputs, 0.0)
    with open_engine(graph, "cpu") as engine, torch.no_grad():
        for example in spec.examples:
            expected = network(*example)
            expected = expected if isinstance(expected, tuple) else (expected,)
            feeds = {name: x.numpy() for name, x in zip(spec.inputs, example, strict=True)}
            got = engine.run(feeds)
            for name, reference in zip(spec.outputs, expected, strict=True):
                if got[name].shape != tuple(reference.shape):
                    raise ValueError(f"{name} has shape {got[name].shape} in ONNX, {tuple(reference.shape)} in PyTorch")
                worst[name] = max(worst[name], float(np.abs(got[name] - reference.numpy()).max()))
    return worst


def graph_entry(file: str, graph: bytes) -> GraphEntry:
    """The manifest's entry of a graph in a file: its inputs and outputs as ONNX Runtime sees them."""
    from voxface.runtime.engines.opening import open_engine

    with open_engine(graph, "cpu") as engine:
        return GraphEntry(file=file, inputs=tensor_entries(engine.inputs), outputs=tensor_entries(engine.outputs))
