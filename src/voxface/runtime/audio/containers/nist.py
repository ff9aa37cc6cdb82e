"""NIST SPHERE: how much sound its header announces. The header is text (NIST Speech Header Resources 2.6)."""

import re
from typing import BinaryIO, Final

from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.part import Part
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

_HEADER: Final = re.compile(rb"NIST_1A\n\s{0,8}(\d{1,8})\n")
_BEGINS: Final = re.compile(rb"NIST_1A\n")
_FIELD: Final = re.compile(rb"^(\w+) -i (-?\d{1,18})\s*$", re.MULTILINE)


def read_nist(file: BinaryIO, size: int) -> Part:
    """The sound of a NIST SPHERE file of `size` bytes.

    Raises:
        InputError: its header is damaged, or gives an impossible rate or number of channels.
    """
    file.seek(0)
    head = file.read(1 << 14)
    found = _HEADER.match(head)
    if not found:
        raise InputError("its header is damaged")
    start = int(found[1])
    fields = {name: int(value) for name, value in _FIELD.findall(head[:start].split(b"\nend_head")[0])}
    check_header(fields.get(b"sample_rate", 0), fields.get(b"channel_count", 0))
    announced = fields.get(b"sample_count", 0) * fields[b"channel_count"] * fields.get(b"sample_n_bytes", 0)
    if announced < 0 or start > size:
        raise InputError("its header is damaged")
    there = min(announced, size - start)
    after = chunks.joined(file, start + there, size, None, _BEGINS) if announced else None
    return Part(None, announced, there, next=after)
