"""RGB images as PNG files."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.provenance.mark import Mark
from voxface.runtime.provenance.png_text import SIGNATURE, chunk, mark_chunks


def png(image: NDArray[np.uint8], mark: Mark | None = None) -> bytes:
    """A PNG file (8-bit RGB) of an image uint8 [H, W, 3].

    Args:
        image: the image.
        mark: what a generated face says of itself; None only for what shows no generated face.

    Raises:
        ValueError: the array is no such image.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 [H, W, 3], not {image.dtype} {list(image.shape)}")
    height, width = image.shape[:2]
    rows = np.zeros((height, 1 + width * 3), np.uint8)  # each row starts with its filter type, 0: none
    rows[:, 1:] = image.reshape(height, -1)
    return (
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + (b"" if mark is None else mark_chunks(mark))
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 3))
        + chunk(b"IEND", b"")
    )


def with_mark(data: bytes, mark: Mark) -> bytes:
    """A PNG file that says what a generated face says of itself, its pixels as they were.

    Raises:
        ValueError: it is no PNG file.
    """
    after_header = len(SIGNATURE) + 12 + 13  # the header's chunk, which is first
    if not data.startswith(SIGNATURE) or data[len(SIGNATURE) + 4 : len(SIGNATURE) + 8] != b"IHDR":
        raise ValueError("expected a PNG file")
    return data[:after_header] + mark_chunks(mark) + data[after_header:]


def picture_alone(data: bytes) -> bytes:
    """A PNG file without what it says beside the picture: marks, times, signatures. What is no PNG file stays as it is."""
    kept, at = [SIGNATURE], len(SIGNATURE)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4] & 0x20 == 0:  # a capital letter: a chunk that the picture needs
            kept.append(data[at:end])
        at = end
    return b"".join(kept) if data.startswith(SIGNATURE) and at == len(data) else data
