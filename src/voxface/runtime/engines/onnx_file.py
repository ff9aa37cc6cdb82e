"""The check of an ONNX file before any library reads it: nothing in it may point outside of it.

Tensors of an ONNX file may lie in other files ("external data"), and ONNX Runtime reads these below the working directory. So a
graph could carry any file there into its outputs. This check reads protobuf's wire format by itself, needs no library, and
passes over the bytes of tensors, so that it takes less than a millisecond. Field numbers are those of onnx.proto.
"""

from collections.abc import Iterator
from typing import Final

DEEPEST: Final = 64  # messages within messages; protobuf itself stops at 100
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types

# Message -> number of a field -> the message in that field. Messages without tensors and nodes are passed over.
_WITHIN: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
}
_OPERATOR: Final = 4  # field of a node
_DIMENSIONS, _EXTERNAL_DATA, _DATA_LOCATION = 1, 13, 14  # fields of a tensor
_CONTEXT: Final = b"EPContext"  # an operator that holds the path of a file, for some providers


def check_onnx_file(data: bytes) -> None:
    """Checks that an ONNX file stands for itself.

    Raises:
        ValueError: it is no protobuf message, or it has external data, an operator that reads a file, a sparse tensor, or a
            tensor that declares more numbers than it holds; or it is in ONNX Runtime's own format.
    """
    if data[4:8] == b"ORTM":
        raise ValueError("it is in ONNX Runtime's own format; export it as ONNX")
    if not data:
        raise ValueError("it is empty")
    # The message that is read and those that it is in: a list of all that are still to be read would take far more memory
    # than the file, which may hold a message every two bytes.
    reading = [("model", fields_of(data, 0, len(data)))]
    while reading:
        kind, fields = reading[-1]
        for number, wire, value, after in fields:
            within = _WITHIN[kind].get(number) if wire == BYTES else None
            if within == "sparse tensor":  # a few bytes that stand for any number of zeros
                raise ValueError("it has a sparse tensor; export it with dense ones")
            if within == "tensor":
                _check_tensor(data, value, after)
            elif within is not None:
                if len(reading) > DEEPEST:
                    raise ValueError(f"its messages are nested more than {DEEPEST} deep")
                reading.append((within, fields_of(data, value, after)))
                break
            elif number == _OPERATOR and kind == "node" and data[value:after] == _CONTEXT:
                raise ValueError(f"its operator {_CONTEXT.decode()} reads another file; export the graph without it")
        else:
            reading.pop()


def _check_tensor(data: bytes, begin: int, end: int) -> None:
    numbers = 1
    for number, wire, value, after in fields_of(data, begin, end):
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and (wire != VARINT or value)):
            raise ValueError("it has external data, weights in another file; export it with its weights inside")
        if number == _DIMENSIONS and wire == VARINT:
            numbers *= value
        elif number == _DIMENSIONS and wire == BYTES:
            at = value
            while at < after:
                size, at = _varint(data, at, after)
                numbers *= size
    if numbers > 4 * (end - begin):  # the smallest numbers have two bits
        raise ValueError(f"it has a tensor of {numbers:.3g} numbers in {end - begin} bytes")


def fields_of(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and the value of a varint, or else where the value begins; and where it ends.

    Raises:
        ValueError: the message is damaged.
    """
    while at < end:
        tag = data[at]  # tags and lengths mostly have one byte
        at += 1
        if tag > 0x7F:
            tag, at = _varint(data, at - 1, end)
        wire = tag & 7
        value = at
        if wire == BYTES:
            value, at = _varint(data, at, end)
            value, at = at, at + value
        elif wire == VARINT:
            value, at = _varint(data, at, end)
        elif wire == FIXED32:
            at += 4
        elif wire == FIXED64:
            at += 8
        else:  # groups, which ONNX does not use
            raise ValueError("it is damaged, or no ONNX file")
        if at > end or not 7 < tag < 1 << 32:
            raise ValueError("it is damaged, or no ONNX file")
        yield tag >> 3, wire, value, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends."""
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise ValueError("it is damaged, or no ONNX file")
