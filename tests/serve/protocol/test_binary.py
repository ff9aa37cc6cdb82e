"""Binary messages: as documented, byte by byte, and read back."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.serve.protocol.binary import BinaryMessage, picture_message


def test_vertices_byte_by_byte() -> None:
    data = BinaryMessage("vertices", 24_000, np.array([[1, 2, 3], [4, 5, 6]], np.float32)).pack()
    assert data[:4] == b"vxf1"
    assert (data[4], data[5]) == (1, 1)
    assert struct.unpack("<HIIq", data[6:24]) == (3, 2, 0, 24_000)
    assert np.frombuffer(data, "<f4", offset=24).tolist() == [1, 2, 3, 4, 5, 6]


@given(
    st.sampled_from(["vertices", "uncertainty", "triangles", "colours"]),
    st.integers(0, 9),
    st.integers(1, 4),
    st.integers(0, 1 << 50),
)
def test_read_back(kind: str, rows: int, columns: int, position: int) -> None:
    dtype = {"triangles": np.uint32, "colours": np.uint8}.get(kind, np.float32)
    values = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
    found = BinaryMessage.unpack(BinaryMessage(kind, position, values).pack())
    assert (found.kind, found.position) == (kind, position)
    assert found.values.dtype == dtype
    assert np.array_equal(found.values, values)


def test_a_picture_is_a_png() -> None:
    found = BinaryMessage.unpack(picture_message(b"\x89PNG and more", 5))
    assert found.values.tobytes() == b"\x89PNG and more"


@pytest.mark.parametrize(
    "data", [b"", b"vxf1", b"nope" + bytes(20), b"vxf1\1\1\1\0\2\0\0\0" + bytes(12), b"vxf1\x09" + bytes(19)]
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|no binary message"):
        BinaryMessage.unpack(data)
