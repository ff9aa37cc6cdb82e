"""FP16 arithmetic as a GPU does it, emulated node by node.

ONNX Runtime's CPU provider computes FP16 graphs in FP32: a value that overflows on the device does not overflow there. Here
every FP16 tensor is rounded to FP16 (values beyond 65504 become infinity, subnormals are kept), and:

* convolutions and matrix products add up in FP32, as tensor cores do, and round once at the end;
* element-wise operations round once; for + − × ÷ √ the result is exactly that of FP16 arithmetic, since FP32 has more than
  twice the digits;
* reductions, means and normalisations add up in FP16, the worst that a kernel may do, so that a sum that can overflow does;
* operations that only move numbers keep them.

Nodes without FP16 tensors run in FP32.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from voxface.onnx_graph.graph import Graph, attributes
from voxface.onnx_graph.node_runner import FLOAT16, NodeRunner, Tensor

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]
Inputs = list[Float16 | None]

CORE: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ROUNDED: Final = frozenset(
    ("Abs", "Add", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Expand", "Floor", "Gelu", "HardSigmoid",
     "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Resize",
     "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu",
     "Where")
)  # fmt: skip
MOVING: Final = frozenset(
    ("Concat", "DepthToSpace", "Dropout", "Flatten", "Gather", "GatherElements", "GatherND", "GlobalMaxPool", "Identity",
     "MaxPool", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
     "Transpose", "Unsqueeze")
)  # fmt: skip


class Fp16Emulator:
    """Runs a typed graph with its FP16 tensors emulated and the others in FP32. Not thread-safe."""

    def __init__(self, graph: Graph, node_runner: NodeRunner | None = None) -> None:
        """Takes a graph and, to share it among graphs of one opset, a node runner.

        Raises:
            ValueError: an FP16 node is not one of `EMULATED`.
        """
        self._graph = graph
        self._node_runner = node_runner or NodeRunner(graph.opset)
        # FP16 tensors are float32 arrays that hold only FP16 numbers: each node rounds once, its inputs need no cast.
        self._constants = {
            name: x.astype(np.float32) if x.dtype == np.float16 else x for name, x in graph.constants.items()
        }
        self._fp16_tensors = {name for name, kind in graph.types.items() if kind == FLOAT16}
        for node in graph.nodes:
            fp16 = any(name in self._fp16_tensors for name in (*node.input, *node.output))
            if fp16 and node.op_type not in EMULATED | {"Cast", "Shape", "Size"}:
                raise ValueError(f"{node.name} ({node.op_type}): there is no emulation of it in half precision")
        self._last: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            self._last |= dict.fromkeys(node.input, index)

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The graph's outputs for these inputs, float32.

        Raises:
            BundleError: a node does not run.
        """
        values: dict[str, Tensor] = dict(feeds)
        wanted = {value.name for value in self._graph.outputs}
        with np.errstate(all="ignore"):  # infinity and NaN are answers here
            for index, node in enumerate(self._graph.nodes):
                inputs = [self._value(values, name) for name in node.input]
                for name, x in zip(node.output, self._node(node, inputs), strict=True):
                    values[name] = x
                for name in node.input:  # a tensor that no later node reads is dropped
                    if self._last[name] == index and name not in wanted:
                        values.pop(name, None)
        return {name: values[name] for name in wanted}

    def _value(self, values: Mapping[str, Tensor], name: str) -> Tensor | None:
        if not name:
            return None
        return values[name] if name in values else self._constants[name]

    def _node(self, node: NodeProto, inputs: list[Tensor | None]) -> list[Tensor]:
        fp16 = [name in self._fp16_tensors for name in node.output]
        if node.op_type == "Cast" and (fp16[0] or node.input[0] in self._fp16_tensors):
            return [_rounded(x.astype(np.float32)) if fp16[0] else x for x in inputs if x is not None]
        if node.op_type in ACCUMULATED and any(fp16):
            narrow = [None if x is None else _narrow(x) for x in inputs]
            return [ACCUMULATED[node.op_type](attributes(node), narrow).astype(np.float32)]
        outputs = self._node_runner.run(node, inputs)
        return [_rounded(x) if rounds else x for x, rounds in zip(outputs, fp16, strict=True)]


def _narrow(x: Tensor) -> Any:
    return x.astype(np.float16) if x.dtype == np.float32 else x


def _rounded(x: Tensor) -> Float32:
    return x.astype(np.float16).astype(np.float32)


def _total(x: Float16, axes: tuple[int, ...]) -> Float16:
    """FP16 sum over axes, which stay with length 1: a tree of partial sums, as threads add up, each rounded to FP16.

    numpy's own sum of FP16 numbers keeps some partial sums in FP32, depending on how they lie in memory.
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1)
    while rows.shape[-1] > 1:
        if rows.shape[-1] % 2:
            rows = np.concatenate([rows, np.zeros((*rows.shape[:-1], 1), np.float16)], axis=-1)
        rows = rows[..., ::2] + rows[..., 1::2]
    return rows.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])


def _average(x: Float16, axes: tuple[int, ...]) -> Float16:
    average: Float16 = _total(x, axes) / np.float16(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
    return average


def _reduction(reduce: Callable[[Float16, tuple[int, ...]], Float16]) -> Callable[[dict[str, Any], Inputs], Float16]:
    """A Reduce… operator: its axes are an attribute or the second input, and stay with length 1 unless keepdims is 0."""

    def run(options: dict[str, Any], inputs: Inputs) -> Float16:
        x = inputs[0]
        assert x is not None
        axes: Any = inputs[1] if len(inputs) > 1 else options.get("axes")
        if axes is None or len(axes) == 0:
            if options.get("noop_with_empty_axes", 0):
                return x
            axes = range(x.ndim)
        places = tuple(int(axis) % x.ndim for axis in axes)
        kept = reduce(x, places)
        return kept if options.get("keepdims", 1) else kept.squeeze(places)

    return run


def _normalised(x: Float16, axes: tuple[int, ...], epsilon: float) -> Float16:
    centred = x - _average(x, axes)
    variance = _average(centred * centred, axes)
    return np.asarray(centred / np.sqrt(variance + np.float16(epsilon)), np.float16)


def _per_channel(x: Float16, ndim: int) -> Float16:
    return x.reshape(1, -1, *[1] * (ndim - 2))


def _batch_normalisation(options: dict[str, Any], inputs: Inputs) -> Float16:
    x, scale, bias, mean, variance = (i for i in inputs if i is not None)
    each = [_per_channel(i, x.ndim) for i in (scale, bias, mean, variance)]
    deviation = np.sqrt(each[3] + np.float16(options.get("epsilon", 1e-5)))
    return np.asarray((x - each[2]) / deviation * each[0] + each[1], np.float16)


def _instance_normalisation(options: dict[str, Any], inputs: Inputs) -> Float16:
    x, scale, bias = (i for i in inputs if i is not None)
    flat = _normalised(x, tuple(range(2, x.ndim)), options.get("epsilon", 1e-5))
    return np.asarray(flat * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim), np.float16)


def _layer_normalisation(options: dict[str, Any], inputs: Inputs) -> Float16:
    x, scale = inputs[0], inputs[1]
    assert x is not None
    assert scale is not None
    axes = tuple(range(options.get("axis", -1) % x.ndim, x.ndim))
    flat = _normalised(x, axes, options.get("epsilon", 1e-5)) * scale
    bias = inputs[2] if len(inputs) > 2 else None
    return np.asarray(flat if bias is None else flat + bias, np.float16)


def _global_average(options: dict[str, Any], inputs: Inputs) -> Float16:
    x = inputs[0]
    assert x is not None
    return _average(x, tuple(range(2, x.ndim)))


def _softmax(options: dict[str, Any], inputs: Inputs) -> Float16:
    x = inputs[0]
    assert x is not None
    axis = (options.get("axis", -1) % x.ndim,)
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / _total(powers, axis), np.float16)


ACCUMULATED: Final[dict[str, Callable[[dict[str, Any], Inputs], Float16]]] = {
    "ReduceSum": _reduction(_total),
    "ReduceMean": _reduction(_average),
    "ReduceSumSquare": _reduction(lambda x, axes: _total(x * x, axes)),
    "ReduceL1": _reduction(lambda x, axes: _total(np.abs(x), axes)),
    "ReduceL2": _reduction(lambda x, axes: np.sqrt(_total(x * x, axes))),
    "GlobalAveragePool": _global_average,
    "BatchNormalization": _batch_normalisation,
    "InstanceNormalization": _instance_normalisation,
    "LayerNormalization": _layer_normalisation,
    "Softmax": _softmax,
}
EMULATED: Final = CORE | ROUNDED | MOVING | ACCUMULATED.keys()
