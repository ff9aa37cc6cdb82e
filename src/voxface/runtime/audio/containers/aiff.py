"""AIFF and AIFF-C: where their sound lies, whatever their sizes say. Audio Interchange File Format 1.3, Apple, 1989."""

import re
import struct
from typing import BinaryIO, Final

from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.chunks import RIFX
from voxface.runtime.audio.containers.part import Part, Span
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

BEGINS: Final = re.compile(rb"FORM....AIF[FC]", re.DOTALL)
UNCOMPRESSED: Final = (b"NONE", b"sowt", b"twos", b"fl32", b"FL32", b"fl64", b"FL64")


def read_aiff(file: BinaryIO, size: int) -> Part:
    """The sound of an AIFF or AIFF-C file of `size` bytes.

    Raises:
        InputError: its header is cut short, or gives an impossible rate or number of channels.
    """
    file.seek(8)
    kind = file.read(4)
    common, data = b"", None
    for chunk in chunks.walk(file, 12, size, RIFX):
        if chunk.name == b"COMM" and not common:
            file.seek(chunk.start)
            common = file.read(min(chunk.size, 1 << 12))
        elif chunk.name == b"SSND" and data is None:
            data = chunk
        if common and data is not None:
            break
    if data is None or len(common) < 18 or data.start + 8 > size:
        raise InputError(f"its header is damaged or cut short: no {'sound' if len(common) >= 18 else 'format'} in it")
    channels, frames, bits = struct.unpack_from(">HIH", common)
    check_header(_extended(common[8:18]), channels)
    file.seek(data.start)
    skipped = min(struct.unpack(">I", file.read(4))[0], size - data.start - 8)
    start = data.start + 8 + skipped
    end, promised = chunks.extent(file, start, max(0, data.size - 8 - skipped), size, RIFX, begins=BEGINS)
    there, after = end - start, chunks.joined(file, end, size, RIFX, BEGINS)
    if data.size - 8 - skipped == promised == there:
        return Part(None, promised, there, next=after)
    if len(common) == 18 or common[18:22] in UNCOMPRESSED:
        frames = there // (channels * max(1, (bits + 7) // 8))
    common = common[:2] + struct.pack(">I", frames) + common[6:] + bytes(len(common) % 2)
    body = (
        struct.pack(">4sI", b"COMM", len(common))
        + common
        + struct.pack(">4sIII", b"SSND", min(8 + there, 0xFFFFFFFF), 0, 0)
    )
    head = struct.pack(">4sI", b"FORM", min(4 + len(body) + there, 0xFFFFFFFF)) + kind
    return Part((head + body, Span(start, end)), promised, there, next=after)


def _extended(number: bytes) -> int:
    """A positive number of 80 bits as an integer, 0 if it is none or beyond all bounds."""
    exponent, mantissa = struct.unpack(">HQ", number)
    shift = exponent - 16383 - 63
    return mantissa >> -shift if -64 < shift <= 0 else 0
