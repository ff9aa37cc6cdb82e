"""FLAC: files that were joined, and tags in front of them. RFC 9639."""

import re
from typing import BinaryIO, Final

from voxface.runtime.audio.containers.part import MOST_PARTS, Part, Span
from voxface.runtime.audio.containers.window import Window
from voxface.runtime.errors import InputError

# And the header of the block that comes first, which has always 34 bytes; another one follows or not.
_BEGINNING: Final = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_LENGTH: Final = 8


def read_flac(file: BinaryIO, start: int, size: int) -> list[Part]:
    """The FLAC files in a file of `size` bytes, of which the first begins at byte `start`.

    Raises:
        InputError: there are too many.
    """
    window, places = Window(file, size), [start]
    while (place := window.find(_BEGINNING, places[-1] + 1, _LENGTH)) is not None:
        places.append(place)
        if len(places) > MOST_PARTS:
            raise InputError(f"more than {MOST_PARTS} joined FLAC files")
    if places == [0]:
        return [Part()]
    return [Part((Span(a, b),)) for a, b in zip(places, [*places[1:], size], strict=True)]
