"""Binary messages of the server: arrays and pictures, little-endian, behind a header of 24 bytes.

| bytes | what |
|---|---|
| 0–3 | "vxf1" |
| 4 | kind: 1 vertices, 2 picture (PNG), 3 uncertainty, 4 triangles, 5 colours |
| 5 | type of the numbers: 1 float32, 2 uint32, 3 uint8 |
| 6–7 | uint16: columns |
| 8–11 | uint32: rows |
| 12–15 | 0 |
| 16–23 | int64: `position` of the event it belongs to |
| 24– | the numbers, row by row |
"""

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"vxf1"
HEADER: Final = struct.Struct("<4sBBHIIq")
KINDS: Final = {"vertices": 1, "picture": 2, "uncertainty": 3, "triangles": 4, "colours": 5}
TYPES: Final = {"<f4": 1, "<u4": 2, "|u1": 3}


@dataclass(frozen=True)
class BinaryMessage:
    """A binary message.

    Attributes:
        kind: what it is, a name of `KINDS`.
        position: of the event it belongs to.
        values: [rows, columns]; a picture is uint8 [bytes, 1].
    """

    kind: str
    position: int
    values: NDArray[Any]

    def pack(self) -> bytes:
        """Its bytes."""
        values = self.values
        kind = {"f": "<f4", "u": "<u4" if values.itemsize == 4 else "|u1", "i": "<u4"}[values.dtype.kind]
        stored = np.ascontiguousarray(values, kind)
        head = HEADER.pack(MAGIC, KINDS[self.kind], TYPES[kind], stored.shape[1], len(stored), 0, self.position)
        return head + stored.tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> "BinaryMessage":
        """A message of its bytes.

        Raises:
            ValueError: they are none.
        """
        if len(data) < HEADER.size:
            raise ValueError(f"{len(data)} bytes are less than a header")
        magic, kind, of, columns, rows, _, position = HEADER.unpack_from(data)
        names = {number: name for name, number in KINDS.items()}
        types = {number: name for name, number in TYPES.items()}
        if magic != MAGIC or kind not in names or of not in types:
            raise ValueError("no binary message of voxface, version 1")
        dtype = np.dtype(types[of])
        if len(data) != HEADER.size + rows * columns * dtype.itemsize:
            raise ValueError(f"{len(data)} bytes are not {rows} rows of {columns} columns")
        return cls(names[kind], position, np.frombuffer(data, dtype, offset=HEADER.size).reshape(rows, columns))


def picture_message(png: bytes, position: int) -> bytes:
    """A PNG file as a binary message."""
    return BinaryMessage("picture", position, np.frombuffer(png, np.uint8)[:, None]).pack()
