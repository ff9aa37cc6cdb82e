"""What a built TensorRT plan computes in, layer by layer, checked against what was wished: no layer is FP32 unnoticed.

The wish is the bundle's precision plan; a bundle without one is wished as its ONNX graph has it. Two things are checked against
it: the network that TensorRT parsed, always; and the plan that was built, by TensorRT's engine inspector, where that can be
asked. It needs a driver, and what it says of a layer depends on the version: a layer that it does not name, or whose type it
does not tell, counts as not told.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.engine_entries import InspectionEntry
from voxface.runtime.engines.tensorrt_library import log_of

_WORDS: Final = {"float32": r"FP32|Float\b|kFLOAT", "float16": r"FP16|Half|kHALF", "int8": r"Int8|INT8|kINT8"}
_WISHES: Final = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


def network_precisions(trt: Any, network: Any) -> dict[str, str]:
    """Layer -> "float32", "float16" or "int8", of the convolutions and products of a parsed network."""
    found, layers = {}, [network.get_layer(index) for index in range(network.num_layers)]
    makers = {layer.get_output(0).name: layer for layer in layers}
    # A convolution over time is one over an image of height 1: the parser puts reshapes before it.
    reshapes = [getattr(trt.LayerType, name, None) for name in ("SHUFFLE", "SQUEEZE", "UNSQUEEZE")]
    arithmetic = (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION, trt.LayerType.MATRIX_MULTIPLY)
    names = {trt.DataType.FLOAT: "float32", trt.DataType.HALF: "float16", trt.DataType.INT8: "int8"}
    for layer in layers:
        if layer.type in arithmetic:  # one that reads what was quantised is computed in INT8, whatever type is written
            tensor = layer.get_input(0)
            while (maker := makers.get(tensor.name)) is not None and maker.type in reshapes:
                tensor = maker.get_input(0)
            quantised = maker is not None and maker.type == trt.LayerType.DEQUANTIZE
            found[layer.name] = "int8" if quantised else names.get(tensor.dtype, str(tensor.dtype))
    return found


def wished_precisions(bundle: Bundle, graph: str) -> dict[str, str]:
    """Node -> "float32", "float16" or "int8" by the bundle's precision plan; empty if it has none."""
    entry = bundle.manifest.precision
    plan = entry.calibrated.plan if entry and entry.calibrated else None
    if plan is None:
        return {}
    nodes = json.loads(bundle.files[plan.file])["nodes"]
    return {
        node["node"]: _WISHES[node["precision"]]
        for node in nodes
        if node["graph"] == graph and node["precision"] in _WISHES
    }


def inspect(trt: Any, data: bytes, network: Mapping[str, str], wish: Mapping[str, str]) -> InspectionEntry:
    """What is known of a plan's layers.

    Args:
        trt: the library.
        data: the plan.
        network: layer -> precision in the network that it was built of, from `network_precisions`.
        wish: node -> precision, from `wished_precisions`; nodes that were rewritten are called NODE/something in the network.
    """
    wishes = {layer: _wish(layer, wish) or precision for layer, precision in network.items()}
    unlike = [
        f"{layer}: {network[layer]}, not {wished}" for layer, wished in wishes.items() if network[layer] != wished
    ]
    layers, why = _inspected(trt, data)
    told: dict[str, str] = {}
    for name in wishes:
        for found in layers:
            if name in _names(found) and (precision := _precision(found)):
                told[name] = precision
    unlike += [f"{name} in the plan: {told[name]}, not {wishes[name]}" for name in told if told[name] != wishes[name]]
    if not why and len(told) < len(wishes):
        why = f"the inspector tells the types of {len(told)} of {len(wishes)} layers"
    return InspectionEntry(
        network=dict(sorted(Counter(network.values()).items())),
        plan=dict(sorted(Counter(told.values()).items())) if told else None,
        unlike=tuple(unlike) or None,
        not_told=why or None,
    )


def _wish(layer: str, wish: Mapping[str, str]) -> str | None:
    return wish.get(layer) or wish.get(layer.rpartition("/")[0])


def _inspected(trt: Any, data: bytes) -> tuple[list[Mapping[str, Any]], str]:
    """The layers of a plan as the inspector describes them, or why it does not."""
    if not hasattr(trt, "LayerInformationFormat"):
        return [], "this TensorRT has no inspector"
    log = log_of(trt)
    log.clear()
    engine = trt.Runtime(log).deserialize_cuda_engine(data)
    if engine is None:
        reason = log.last_error()
        reason = "no NVIDIA driver on this machine" if "driver" in reason.lower() else reason
        return [], f"the plan was not inspected: {reason}"
    text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    layers: list[Any] = []
    with suppress(ValueError, AttributeError):
        layers = json.loads(text).get("Layers", [])
    return [layer for layer in layers if isinstance(layer, dict)], "" if layers else "the inspector names no layers"


def _names(layer: Mapping[str, Any]) -> set[str]:
    """The names of network layers in one of the plan's: several may be fused, "a + b", and metadata names ONNX nodes."""
    name, metadata = str(layer.get("Name", "")), str(layer.get("Metadata", ""))
    return {name, *re.split(r"\s*\+\s*|\s*,\s*", name), *re.findall(r"\[ONNX Layer: ([^\]]+)\]", metadata)}


def _precision(layer: Mapping[str, Any]) -> str | None:
    """The type of what a layer of the plan reads first; None if it is not told."""
    for tensor in layer.get("Inputs", []):
        text = " ".join(str(tensor.get(key, "")) for key in ("Format/Datatype", "Datatype", "Format"))
        for precision, words in _WORDS.items():
            if re.search(words, text):
                return precision
    return None
