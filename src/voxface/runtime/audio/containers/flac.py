"""FLAC: files that were joined, tags in front of them, and headers that count too few samples. RFC 9639."""

import re
from collections.abc import Sequence
from typing import BinaryIO, Final

from voxface.runtime.audio.containers.part import MOST_PARTS, Part, Piece, Pieces, Span
from voxface.runtime.audio.containers.window import Window
from voxface.runtime.errors import InputError

# And the header of the block that comes first, which has always 34 bytes; another one follows or not.
_BEGINNING: Final = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_LENGTH: Final = 8
_COUNT: Final = slice(21, 26)  # bytes whose last 36 bits count the samples of each channel
_HEAD: Final = 42  # bytes up to the end of the first block
_SYNC: Final = (b"\xf8", b"\xf9")  # behind 0xff, with which a frame begins
_LONGEST_HEADER: Final = 16
_TAIL: Final = 1 << 16  # bytes in which the last frame is looked for first
_MOST_TAIL: Final = 1 << 22


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
    found = [counted(file, (Span(a, b),)) for a, b in zip(places, [*places[1:], size], strict=True)]
    return [Part()] if found == [Part((Span(0, size),))] else found


def counted(file: BinaryIO, pieces: tuple[Piece, ...]) -> Part:
    """The part of one FLAC file, with no count in its header where that is less than its last frame shows.

    libsndfile stops at that count; without one it reads to the end, and the place of the last frame says where that is.
    """
    whole = Pieces(file, pieces)
    head = whole.read(_HEAD)
    announced = int.from_bytes(head[_COUNT], "big") & 0xFFFFFFFFF
    if not announced or len(head) < _HEAD:
        return Part(pieces)
    size, end = _TAIL, None
    while end is None and size <= _MOST_TAIL:
        end = _end_of_last_frame(whole, size, int.from_bytes(head[8:10], "big"))
        size = size * 4 if size < whole.size else _MOST_TAIL + 1
    if end is None or end <= announced:
        return Part(pieces)
    uncounted = head[:21] + bytes([head[21] & 0xF0]) + bytes(4) + head[26:]
    # Bytes may look like a frame by chance, so that only the announced samples must be there.
    return Part((uncounted, *_behind(pieces, _HEAD)), frames=end, slack=end - announced)


def _behind(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """Stretches of a file without their first `count` bytes."""
    left: list[Piece] = []
    for piece in pieces:
        assert isinstance(piece, Span)
        gone = min(count, piece.size)
        count -= gone
        left.append(Span(piece.start + gone, piece.end))
    return left


def _end_of_last_frame(whole: Pieces, size: int, block: int) -> int | None:
    """The sample behind the last frame that begins in the last `size` bytes; None if none does. `block`: samples a frame."""
    whole.seek(max(0, whole.size - size))
    data = whole.read()
    at = len(data)
    while (at := data.rfind(b"\xff", 0, at)) >= 0:
        head = data[at : at + _LONGEST_HEADER]
        if head[1:2] in _SYNC and (end := _end_of_frame(head, block)) is not None:
            return end
    return None


def _end_of_frame(head: bytes, block: int) -> int | None:
    """The sample behind a frame, as its header says; None if that is none or has another checksum."""
    if len(head) < 6 or head[2] < 0x10 or head[2] & 15 == 15 or head[3] & 1:
        return None
    first, behind = head[4], 5
    if first < 0x80:
        number = first
    else:
        more = 7 - (first ^ 0xFF).bit_length()  # bytes behind the first, as in UTF-8
        if not 1 <= more <= 6:
            return None
        number, behind = first & (0x3F >> more), 5 + more
        for byte in head[5:behind]:
            if byte >> 6 != 2:
                return None
            number = number << 6 | byte & 0x3F
    code, rate = head[2] >> 4, head[2] & 15
    wide = {6: 1, 7: 2}.get(code, 0)
    samples = int.from_bytes(head[behind : behind + wide], "big") + 1
    if code == 1:
        samples = 192
    elif code < 6:
        samples = 576 << (code - 2)
    elif code > 7:
        samples = 256 << (code - 8)
    behind += wide + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if behind >= len(head) or _checksum(head[:behind]) != head[behind]:
        return None
    return (number if head[1] & 1 else number * block) + samples


def _checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x107 if value & 0x80 else 0)) & 0x1FF
    return value
