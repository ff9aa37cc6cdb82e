"""AU: where its sound lies, whatever its size says. The format is a header of six numbers (NeXT, Sun)."""

import re
import struct
from typing import BinaryIO, Final

from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.part import Part, Span
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

BEGINS: Final = re.compile(rb"(?:\.snd\x00\x00|dns\.)..", re.DOTALL)


def read_au(file: BinaryIO, size: int) -> Part:
    """The sound of an AU file of `size` bytes.

    Raises:
        InputError: its header is cut short, or gives an impossible rate or number of channels.
    """
    file.seek(0)
    head = file.read(24)
    order = "<" if head[:4] == b"dns." else ">"
    if len(head) < 24:
        raise InputError("its header is damaged or cut short")
    start, announced, coding, rate, channels = struct.unpack_from(order + "5I", head, 4)
    check_header(rate, channels)
    if not 24 <= start <= size:
        raise InputError("its header is damaged: the sound would begin behind the end of the file")
    end, promised = chunks.extent(file, start, announced, size, None, begins=BEGINS)
    there, after = end - start, chunks.joined(file, end, size, None, BEGINS)
    if announced == promised == there:
        return Part(None, promised, there, next=after)
    head = head[:4] + struct.pack(order + "5I", 24, min(there, 0xFFFFFFFF), coding, rate, channels)
    return Part((head, Span(start, end)), promised, there, next=after)
