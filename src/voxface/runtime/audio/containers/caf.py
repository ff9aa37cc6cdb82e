"""CAF: where its sound lies, whatever its sizes say. Apple Core Audio Format Specification 1.0."""

import math
import re
import struct
from typing import BinaryIO, Final

from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.chunks import CAF
from voxface.runtime.audio.containers.part import Part, Span
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

BEGINS: Final = re.compile(rb"caff\x00\x01\x00\x00desc")


def read_caf(file: BinaryIO, size: int) -> Part:
    """The sound of a CAF file of `size` bytes.

    Raises:
        InputError: its header is cut short, or gives an impossible rate or number of channels.
    """
    description, data = b"", None
    for chunk in chunks.walk(file, 8, size, CAF):
        if chunk.name == b"desc" and not description:
            file.seek(chunk.start)
            description = file.read(min(chunk.size, 32))
        elif chunk.name == b"data":
            data = chunk
            break
    if data is None or len(description) < 32 or data.start + 4 > size:
        raise InputError(
            f"its header is damaged or cut short: no {'sound' if len(description) >= 32 else 'format'} in it"
        )
    rate, coding, _, _, _, channels, _ = struct.unpack(">d4sIIIII", description)
    check_header(int(rate) if math.isfinite(rate) else 0, channels)
    start = data.start + 4
    end, promised = chunks.extent(file, start, max(0, data.size - 4), size, CAF, chunks.UNKNOWN_SIZE_64, begins=BEGINS)
    there, after = end - start, chunks.joined(file, end, size, CAF, BEGINS)
    if data.size - 4 == promised == there or coding not in (b"lpcm", b"alaw", b"ulaw"):
        return Part(None, promised, there, next=after)
    file.seek(0)
    head = file.read(8) + struct.pack(">4sQ", b"desc", 32) + description
    return Part((head + struct.pack(">4sQI", b"data", 4 + there, 0), Span(start, end)), promised, there, next=after)
