"""PyTorch networks to ONNX graphs, each compared with PyTorch at several sizes before anyone gets to see it."""

import io
import logging
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from voxface.runtime.bundle.manifest import GraphEntry, tensor_entries

OPSET = 18
FP16_FROM = 1024  # numbers; smaller tensors (biases) stay in single precision


@dataclass(frozen=True)
class GraphSpec:
    """How a network becomes a graph.

    Attributes:
        inputs, outputs: names, in the order of `forward`.
        examples: inputs to trace with and to verify on, one tuple per size.
        dynamic: input -> {axis: name of the dimension}.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: Sequence[tuple[Tensor, ...]]
    dynamic: dict[str, dict[int, str]]


def encoder_spec(mels: int = 64) -> GraphSpec:
    """log_mel [B, mels, T] -> embedding [B, E], columns [B, E, ceil(T / 32)]."""
    generator = torch.Generator().manual_seed(0)
    sizes = ((1, 1000), (1, 1001), (1, 1733), (1, 64), (3, 320))
    examples = [(torch.randn(b, mels, t, generator=generator),) for b, t in sizes]
    return GraphSpec(("log_mel",), ("embedding", "columns"), examples, {"log_mel": {0: "B", 2: "T"}})


def embedding_spec(output: str, size: int = 64) -> GraphSpec:
    """embedding [B, E] -> one output."""
    generator = torch.Generator().manual_seed(0)
    examples = [(nn.functional.normalize(torch.randn(b, size, generator=generator), dim=1),) for b in (1, 2, 7)]
    return GraphSpec(("embedding",), (output,), examples, {"embedding": {0: "B"}})


def to_onnx(network: nn.Module, spec: GraphSpec, *, fp16_storage: bool = False) -> tuple[bytes, dict[str, float]]:
    """The ONNX file of a network, and the largest difference of each output from PyTorch over all examples.

    Args:
        network: in eval mode.
        spec: names, examples, dynamic dimensions.
        half_storage: keep large weights in half precision, cast to single when loaded; arithmetic stays in single
            precision. Lossless for a network from `round_to_fp16`.

    Raises:
        ValueError: the exporter changed the opset or the signature behind our back.
    """
    shapes = tuple(dict.fromkeys(spec.dynamic.get(name, {}), torch.export.Dim.DYNAMIC) or None for name in spec.inputs)
    # A batch of one would be taken for a constant, so the exporter is shown two.
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
    model: Any = program.model_proto
    _name_dimensions(model, spec)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset != OPSET:
        raise ValueError(f"asked for opset {OPSET}, the exporter gave {opset}")
    if fp16_storage:
        _store_half(model)
    # Source lines and module names of the exporting program do not belong in a bundle.
    graph = model.graph
    for node in graph.node:
        node.doc_string = ""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    data = buffer.getvalue()
    return data, compare(network, data, spec)


def round_to_fp16(network: nn.Module) -> nn.Module:
    """A copy of a network in eval mode with batch normalisation folded and large weights rounded to half precision.

    Rounding is done here, after folding, so that the graph holds the very weights of this copy and any difference
    between the two is the exporter's.
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


def compare(network: nn.Module, graph: bytes, spec: GraphSpec) -> dict[str, float]:
    """Largest absolute difference of each output between PyTorch and ONNX Runtime, over the examples of a spec."""
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


def _name_dimensions(model: Any, spec: GraphSpec) -> None:
    """Gives dynamic dimensions the names of the contract; the exporter makes up its own."""
    names: dict[str, str] = {}
    for value in model.graph.input:
        for axis, name in spec.dynamic.get(value.name, {}).items():
            dim = value.type.tensor_type.shape.dim[axis]
            names[dim.dim_param] = name
            dim.dim_param = name
    for value in (*model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = names.get(dim.dim_param, "C")


def _store_half(model: Any) -> None:
    """Replaces large float32 initialisers by float16 ones and a Cast; a runtime folds the Cast when it loads the graph."""
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < FP16_FROM:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > 60_000:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.half")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
