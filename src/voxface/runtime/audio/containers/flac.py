"""FLAC: files that were joined, and tags in front of them. RFC 9639."""

from typing import BinaryIO, Final

from voxface.runtime.audio.containers.part import Part, Span

_BEGINNING: Final = b"fLaC\0\0\0\x22"  # and the header of the block that comes first, which has always 34 bytes
_LAST: Final = b"fLaC\x80\0\0\x22"  # where no other block follows
_WINDOW: Final = 1 << 20


def read_flac(file: BinaryIO, start: int, size: int) -> list[Part]:
    """The FLAC files in a file of `size` bytes, of which the first begins at byte `start`."""
    places = [start]
    for magic in (_BEGINNING, _LAST):
        places += _find(file, magic, start + 1, size)
    if places == [0]:
        return [Part()]
    places.sort()
    return [Part((Span(a, b),)) for a, b in zip(places, [*places[1:], size], strict=True)]


def _find(file: BinaryIO, magic: bytes, at: int, size: int) -> list[int]:
    found = []
    while at < size:
        file.seek(at)
        data = file.read(_WINDOW)
        inside = data.find(magic)
        while inside >= 0:
            found.append(at + inside)
            inside = data.find(magic, inside + 1)
        if len(data) < _WINDOW:
            break
        at += len(data) - len(magic) + 1
    return found
