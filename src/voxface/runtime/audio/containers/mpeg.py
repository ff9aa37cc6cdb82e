"""Frames of MPEG audio, layers I to III, of MPEG 1, 2 and 2.5: ISO/IEC 11172-3 and 13818-3.

The length of such sound is the number of its frames and nothing else; between them lie tags and whatever else was joined.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from voxface.runtime.audio.containers.window import Window

_KILOBITS: Final = {  # by whether it is MPEG 1, and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}  # by version bits
_SAMPLES: Final = {(True, 1): 384, (True, 2): 1152, (True, 3): 1152, (False, 1): 384, (False, 2): 1152, (False, 3): 576}
# Four bytes that can begin a frame: a version and a layer that exist, a bit rate, a sample rate that exists.
HEADER: Final = re.compile(
    rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][%b].".replace(
        b"%b", b"".join(b"\\x%02x" % n for n in range(0x10, 0xF0) if n >> 2 & 3 != 3)
    ),
    re.DOTALL,
)
_PLACES: Final = re.compile(HEADER.pattern + rb"|ID3[\x02-\x04]|APETAGEX", re.DOTALL)
_LONGEST: Final = 8
CONFIRMED: Final = 3  # frames in a row, without which four bytes like a header are taken for chance


@dataclass(frozen=True)
class Header:
    """What the four bytes of a frame's header say.

    Attributes:
        layer: 1 to 3.
        rate: Hz.
        channels: 1 or 2.
        size: length of the frame, bytes.
        samples: samples of each channel in the frame.
        lower: whether it has one of the lower rates, of MPEG 2 and 2.5.
        word: the four bytes as a number.
    """

    layer: int
    rate: int
    channels: int
    size: int
    samples: int
    lower: bool
    word: int

    @property
    def kind(self) -> tuple[int, int, int]:
        """What stays the same within one stream: layer, rate and channels."""
        return self.layer, self.rate, self.channels


@dataclass(frozen=True)
class Frame:
    """A frame of a stream.

    Attributes:
        start: the byte at which it begins.
        header: its header.
        whole: False if the file ends within it.
        tag: name of what it holds in place of sound, "Xing", "Info" or "VBRI"; empty for a frame of sound.
        counted: how many frames follow, as the tag says; 0 if it does not.
    """

    start: int
    header: Header
    whole: bool
    tag: bytes = b""
    counted: int = 0

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + self.header.size


def parse(data: bytes, at: int = 0) -> Header | None:
    """The header in four bytes of `data`; None if they are none, or one of the free format."""
    return _header(int.from_bytes(data[at : at + 4], "big")) if HEADER.match(data, at) else None


_KNOWN: dict[int, Header] = {}


def _header(word: int) -> Header:
    """The header of a `word` that `HEADER` matches; a file has few different ones."""
    known = _KNOWN.get(word & 0xFFFFFEC0)  # without bits that change nothing here
    if known is not None:
        return known
    version, layer = word >> 19 & 3, 4 - (word >> 17 & 3)
    first = version == 3
    kilobits, rate = _KILOBITS[first, layer][(word >> 12 & 15) - 1], _RATES[version][word >> 10 & 3]
    padding, samples = word >> 9 & 1, _SAMPLES[first, layer]
    size = (12_000 * kilobits // rate + padding) * 4 if layer == 1 else samples * 125 * kilobits // rate + padding
    made = Header(layer, rate, 1 if word >> 6 & 3 == 3 else 2, size, samples, not first, word)
    return _KNOWN.setdefault(word & 0xFFFFFEC0, made)


def frames(file: BinaryIO, start: int, end: int) -> Iterator[Frame]:
    """The frames in bytes [start, end) of a file; what lies between them is skipped.

    A frame is what follows another frame of its kind, or is followed by one, by a tag or by the end.
    """
    window = Window(file, end)
    at = start
    before: Header | None = None  # the frame that ended here
    while True:
        place = _skip_tags(window, at)
        if place != at:
            at, before = place, None
        header = parse(window.read(at, 4))
        if header is not None and (
            (before is not None and before.kind == header.kind) or _is_confirmed(window, at, header, end)
        ):
            yield Frame(at, header, at + header.size <= end, *_tag(window, at, header))
            at, before = at + header.size, header
            continue
        before = None
        found = window.find(_PLACES, at + 1, _LONGEST)
        if found is None:
            return
        at = found


def after_tags(file: BinaryIO, size: int) -> int:
    """The byte behind the tags at the beginning of a file of `size` bytes."""
    return min(size, _skip_tags(Window(file, size), 0))


def info_place(header: Header) -> int:
    """Where in a frame of layer III the Xing or Info tag stands: behind the side information."""
    if header.lower:
        return 13 if header.channels == 1 else 21
    return 21 if header.channels == 1 else 36


def _tag(window: Window, at: int, header: Header) -> tuple[bytes, int]:
    """The tag in a frame and the frames that it counts."""
    if header.layer == 3:
        data, place = window.read(at, 64), info_place(header)
        name = data[place : place + 4]
        if name in (b"Xing", b"Info"):
            flags = int.from_bytes(data[place + 4 : place + 8], "big")
            return name, int.from_bytes(data[place + 8 : place + 12], "big") if flags & 1 else 0
        if data[36:40] == b"VBRI":
            return b"VBRI", int.from_bytes(data[50:54], "big")
    return b"", 0


def _is_confirmed(window: Window, at: int, header: Header, end: int) -> bool:
    """Whether a frame may begin here, where none ended: more of its kind follow, or a tag or the end does."""
    after = at
    following: Header | None = header
    for _ in range(CONFIRMED):
        if following is None or following.kind != header.kind:
            return after > at and _tag_size(window, after) > 0
        after += following.size
        if after >= end:
            return after == end
        following = parse(window.read(after, 4))
    return True


def _skip_tags(window: Window, at: int) -> int:
    while size := _tag_size(window, at):
        at += size
    return at


def _tag_size(window: Window, at: int) -> int:
    """The bytes of a tag that begins at a place; 0 if none does. ID3v2, ID3v1 and its extension, APE, Lyrics3."""
    head = window.read(at, 32)
    if head[:3] == b"ID3" and len(head) >= 10 and head[3] < 5 and max(head[6:10]) < 128:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        size += 10 if head[5] & 0x10 else 0
        return 10 + (size if at + 10 + size <= window.end else 0)  # a size beyond the end is wrong, or the file is cut
    if head[:3] == b"TAG":
        return 227 if head[:4] == b"TAG+" else 128
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
        return 32 + (size if flags >> 29 & 1 else 0)
    return 0
