"""FLAC: files that were joined, and tags in front of them. RFC 9639."""

import re
from typing import BinaryIO, Final

from voxface.runtime.audio.containers.part import Part, Span

# And the header of the block that comes first, which has always 34 bytes; another one follows or not.
_BEGINNING: Final = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_LENGTH: Final = 8
_WINDOW: Final = 1 << 20


def read_flac(file: BinaryIO, start: int, size: int) -> list[Part]:
    """The FLAC files in a file of `size` bytes, of which the first begins at byte `start`."""
    places = [start, *_find(file, start + 1, size)]
    if places == [0]:
        return [Part()]
    return [Part((Span(a, b),)) for a, b in zip(places, [*places[1:], size], strict=True)]


def _find(file: BinaryIO, at: int, size: int) -> list[int]:
    found: list[int] = []
    while at < size:
        file.seek(at)
        data = file.read(_WINDOW)
        found += [at + match.start() for match in _BEGINNING.finditer(data)]
        if len(data) < _WINDOW:
            break
        at += len(data) - _LENGTH + 1
    return found
