"""The signature of an ONNX file as it stands there: names, types and shapes, with the names of dimensions of any length.

For libraries that forget the names of dimensions when they read a file.
"""

from typing import Final

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.onnx_file import BYTES, VARINT, fields_of

DTYPES: Final = {1: "float32", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
_GRAPH = 7  # fields of messages, as in onnx.proto
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME, _VALUE_NAME, _TYPE = 8, 1, 2
_TENSOR_TYPE, _ELEMENT, _SHAPE = 1, 1, 2
_DIMENSION, _LENGTH, _DIMENSION_NAME = 1, 1, 2


def signature_of(data: bytes) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    """Inputs and outputs of an ONNX file that `voxface.runtime.engines.onnx_file.check_onnx_file` passed. A dimension without
    length and name is called "?".

    Raises:
        ValueError: the file is damaged, or has no graph.
    """
    for begin, end in _parts(data, 0, len(data), _GRAPH):
        weights = {
            data[at:to].decode(errors="replace")
            for tensor in _parts(data, begin, end, _INITIALIZER)
            for at, to in _parts(data, *tensor, _TENSOR_NAME)
        }
        inputs = dict(_value(data, *part) for part in _parts(data, begin, end, _INPUT))
        outputs = dict(_value(data, *part) for part in _parts(data, begin, end, _OUTPUT))
        return {name: spec for name, spec in inputs.items() if name not in weights}, outputs
    raise ValueError("it has no graph")


def _parts(data: bytes, begin: int, end: int, wanted: int) -> list[tuple[int, int]]:
    """Where the messages and texts in one field of a message begin and end."""
    return [
        (value, after)
        for number, wire, value, after in fields_of(data, begin, end)
        if number == wanted and wire == BYTES
    ]


def _number(data: bytes, begin: int, end: int, wanted: int) -> int | None:
    """The number in a field of a message; None: it has none."""
    numbers = [value for number, wire, value, _ in fields_of(data, begin, end) if number == wanted and wire == VARINT]
    return numbers[-1] if numbers else None


def _value(data: bytes, begin: int, end: int) -> tuple[str, TensorSpec]:
    name = "".join(data[at:to].decode(errors="replace") for at, to in _parts(data, begin, end, _VALUE_NAME))
    element: int | None = None
    shape: list[int | str] = []
    for kind in _parts(data, begin, end, _TYPE):
        for tensor in _parts(data, *kind, _TENSOR_TYPE):
            element = _number(data, *tensor, _ELEMENT)
            for whole in _parts(data, *tensor, _SHAPE):
                shape += [_dimension(data, *part) for part in _parts(data, *whole, _DIMENSION)]
    return name, TensorSpec(DTYPES.get(element or 0, str(element)), tuple(shape))


def _dimension(data: bytes, begin: int, end: int) -> int | str:
    length = _number(data, begin, end, _LENGTH)
    if length is not None:
        return length
    return "".join(data[at:to].decode(errors="replace") for at, to in _parts(data, begin, end, _DIMENSION_NAME)) or "?"
