"""Half-precision arithmetic as a GPU does it, emulated node by node.

ONNX Runtime's CPU provider computes FP16 graphs in FP32, so nothing overflows there that overflows on the device. Here every
FP16 tensor is rounded to half precision (beyond 65504 infinity, subnormals kept), and:

* convolutions and matrix products add up in FP32, as tensor cores do, and round once at the end;
* element-wise operations round once; for + − × ÷ √ that is exactly half-precision arithmetic, FP32 having more than twice its
  digits;
* reductions, means and normalisations add up in half precision, the worst that a kernel may do, so that a sum that
  overflows is seen to;
* what only moves numbers keeps them.

Nodes without FP16 tensors run in FP32.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from voxface.onnx_graph.graph import Graph, attributes
from voxface.onnx_graph.node_runner import FLOAT16, NodeRunner, Tensor

Half = NDArray[np.float16]
Float32 = NDArray[np.float32]
Inputs = list[Half | None]

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
    """Runs a typed graph: FP16 tensors in half precision, the others in FP32. Not thread-safe."""

    def __init__(self, graph: Graph, node_runner: NodeRunner | None = None) -> None:
        """Takes a graph whose FP16 nodes are all of `EMULATED`; `node_runner` may be shared by graphs of one opset.

        Raises:
            ValueError: an FP16 node that cannot be emulated.
        """
        self._graph = graph
        self._node_runner = node_runner or NodeRunner(graph.opset)
        # Half-precision numbers travel as float32 arrays that hold only such numbers: one rounding a node, none an input.
        self._constants = {
            name: x.astype(np.float32) if x.dtype == np.float16 else x for name, x in graph.constants.items()
        }
        self._halves = {name for name, kind in graph.types.items() if kind == FLOAT16}
        for node in graph.nodes:
            half = any(name in self._halves for name in (*node.input, *node.output))
            if half and node.op_type not in EMULATED | {"Cast", "Shape", "Size"}:
                raise ValueError(f"{node.name} ({node.op_type}): there is no emulation of it in half precision")
        self._last: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            self._last |= dict.fromkeys(node.input, index)

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The graph's outputs for these inputs; float32, whatever is inside.

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
                for name in node.input:  # what nobody reads any more need not be kept
                    if self._last[name] == index and name not in wanted:
                        values.pop(name, None)
        return {name: values[name] for name in wanted}

    def _value(self, values: Mapping[str, Tensor], name: str) -> Tensor | None:
        if not name:
            return None
        return values[name] if name in values else self._constants[name]

    def _node(self, node: NodeProto, inputs: list[Tensor | None]) -> list[Tensor]:
        halves = [name in self._halves for name in node.output]
        if node.op_type == "Cast" and (halves[0] or node.input[0] in self._halves):
            return [_rounded(x.astype(np.float32)) if halves[0] else x for x in inputs if x is not None]
        if node.op_type in ACCUMULATED and any(halves):
            narrow = [None if x is None else _narrow(x) for x in inputs]
            return [ACCUMULATED[node.op_type](attributes(node), narrow).astype(np.float32)]
        outputs = self._node_runner.run(node, inputs)
        return [_rounded(x) if half else x for x, half in zip(outputs, halves, strict=True)]


def _narrow(x: Tensor) -> Any:
    return x.astype(np.float16) if x.dtype == np.float32 else x


def _rounded(x: Tensor) -> Float32:
    return x.astype(np.float16).astype(np.float32)


def _total(x: Half, axes: tuple[int, ...]) -> Half:
    """Sum in half precision over a tree, as threads add up, every partial sum rounded; the axes stay, one long.

    numpy's own sum of half-precision numbers keeps some partial sums in FP32 and some not, as they lie in memory.
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1)
    while rows.shape[-1] > 1:
        if rows.shape[-1] % 2:
            rows = np.concatenate([rows, np.zeros((*rows.shape[:-1], 1), np.float16)], axis=-1)
        rows = rows[..., ::2] + rows[..., 1::2]
    return rows.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])


def _average(x: Half, axes: tuple[int, ...]) -> Half:
    average: Half = _total(x, axes) / np.float16(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
    return average


def _reduction(reduce: Callable[[Half, tuple[int, ...]], Half]) -> Callable[[dict[str, Any], Inputs], Half]:
    """A Reduce… operator: axes as attribute or second input, kept as dimensions of length one unless told otherwise."""

    def run(options: dict[str, Any], inputs: Inputs) -> Half:
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


def _normalised(x: Half, axes: tuple[int, ...], epsilon: float) -> Half:
    centred = x - _average(x, axes)
    variance = _average(centred * centred, axes)
    return np.asarray(centred / np.sqrt(variance + np.float16(epsilon)), np.float16)


def _per_channel(x: Half, ndim: int) -> Half:
    return x.reshape(1, -1, *[1] * (ndim - 2))


def _batch_normalisation(options: dict[str, Any], inputs: Inputs) -> Half:
    x, scale, bias, mean, variance = (i for i in inputs if i is not None)
    each = [_per_channel(i, x.ndim) for i in (scale, bias, mean, variance)]
    deviation = np.sqrt(each[3] + np.float16(options.get("epsilon", 1e-5)))
    return np.asarray((x - each[2]) / deviation * each[0] + each[1], np.float16)


def _instance_normalisation(options: dict[str, Any], inputs: Inputs) -> Half:
    x, scale, bias = (i for i in inputs if i is not None)
    flat = _normalised(x, tuple(range(2, x.ndim)), options.get("epsilon", 1e-5))
    return np.asarray(flat * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim), np.float16)


def _layer_normalisation(options: dict[str, Any], inputs: Inputs) -> Half:
    x, scale = inputs[0], inputs[1]
    assert x is not None
    assert scale is not None
    axes = tuple(range(options.get("axis", -1) % x.ndim, x.ndim))
    flat = _normalised(x, axes, options.get("epsilon", 1e-5)) * scale
    bias = inputs[2] if len(inputs) > 2 else None
    return np.asarray(flat if bias is None else flat + bias, np.float16)


def _global_average(options: dict[str, Any], inputs: Inputs) -> Half:
    x = inputs[0]
    assert x is not None
    return _average(x, tuple(range(2, x.ndim)))


def _softmax(options: dict[str, Any], inputs: Inputs) -> Half:
    x = inputs[0]
    assert x is not None
    axis = (options.get("axis", -1) % x.ndim,)
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / _total(powers, axis), np.float16)


ACCUMULATED: Final[dict[str, Callable[[dict[str, Any], Inputs], Half]]] = {
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
