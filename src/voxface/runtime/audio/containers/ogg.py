"""Ogg: its pages, sorted into chained streams. RFC 3533; FLAC in Ogg: xiph.org/flac/ogg_mapping.html."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from voxface.runtime.audio.containers.part import MOST_PARTS, Part, Span
from voxface.runtime.audio.containers.recognise import Foreign
from voxface.runtime.audio.containers.window import Window
from voxface.runtime.errors import InputError

_PAGE: Final = struct.Struct("<4sBBqIIIB")
_START: Final = re.compile(rb"OggS\x00[\x00-\x07]")
_BEGIN, _END = 2, 4  # flags of a stream's first and last page
_CODECS: Final = {  # what the first packet begins with
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
    b"PCM     ": "PCM",
    b"CELT    ": "CELT",
}
DECODED: Final = ("Vorbis", "Opus", "FLAC")
NO_END: Final = "its last Ogg page is missing"
MOST_BROKEN: Final = 1000  # pages with a wrong checksum, of which each costs a search
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Page:
    """A page: bytes [start, end) of a file, of which the body begins at `body`.

    Attributes:
        number: its place among the pages of its stream.
        granule: the sample at which it ends, in units of the codec; 0 in headers, -1 if no packet ends in it.
        after: where the page before it ends; bytes between the two belong to no page.
    """

    start: int
    body: int
    end: int
    serial: int
    flags: int
    number: int
    granule: int
    after: int


@dataclass
class _Stream:
    """The pages of one stream of one link, as stretches of the file."""

    codec: str
    pages: list[Span] = field(default_factory=list)
    bodies: list[Span] = field(default_factory=list)
    ended: bool = False
    number: int | None = None
    began: bool = False
    lost: tuple[int, int] | None = None

    def add(self, page: Page) -> None:
        """Takes the next page.

        A recorded broadcast has its headers, and then the pages from the moment at which it was tuned in; so numbers that are
        left out there are no loss, unless bytes that are no page stand in their place.
        """
        if self.number is not None and page.number > self.number + 1 and (self.began or page.start > page.after):
            self.lost = self.lost or (self.number + 1, page.number)
        self.number, self.began = page.number, self.began or page.granule > 0
        for spans, start in ((self.pages, page.start), (self.bodies, page.body)):
            if spans and spans[-1].end == start:
                spans[-1] = Span(spans[-1].start, page.end)
            elif page.end > start:
                spans.append(Span(start, page.end))
        self.ended = self.ended or bool(page.flags & _END)


def read_ogg(file: BinaryIO, size: int) -> list[Part] | Foreign:
    """The parts of an Ogg file of `size` bytes, one a link; or that ffmpeg is needed for its codec.

    Raises:
        InputError: there is no sound in it, its beginning or pages within are missing or damaged, or a codec like that is in
            one of several links.
    """
    links: list[dict[int, _Stream]] = []
    beginning, streams, others = False, 0, 0
    for page in pages(file, size):
        if page.flags & _BEGIN:
            if not beginning:
                links.append({})
            beginning, streams = True, streams + 1
            if streams > MOST_PARTS:
                raise InputError(f"more than {MOST_PARTS} Ogg streams")
            links[-1][page.serial] = _Stream(_codec(file, page))
        else:
            beginning = False
            if not links:
                raise InputError("begins in the middle of an Ogg stream, the headers are missing; fetch it again")
        stream = links[-1].get(page.serial)
        if stream is None:
            others += 1
        else:
            stream.add(page)
    sounds = [_sound(link) for link in links]
    found = [sound for sound in sounds if sound is not None]
    for sound in found:
        if sound.lost is not None:
            raise InputError(
                f"damaged, Ogg pages {sound.lost[0]} to {sound.lost[1] - 1} of its sound are missing or have a wrong checksum; "
                "fetch or export it again"
            )
    if not found:
        raise InputError("an Ogg file without sound")
    strange = [sound.codec for sound in found if sound.codec not in DECODED]
    if strange and len(links) > 1:
        raise InputError(f"a chain of Ogg streams with {strange[0]} among them, which is not read; convert it to WAV")
    if strange:
        return Foreign(f"Ogg with {strange[0]}", "ogg", "" if found[0].ended else NO_END)
    alone = len(links) == 1 and len(links[0]) == 1 and not others and found[0].pages == [Span(0, size)]
    if alone and found[0].codec != "FLAC":
        return [Part(open_end="" if found[0].ended else NO_END)]
    return [_part(file, sound) for sound in found]


def _sound(link: dict[int, _Stream]) -> _Stream | None:
    """The stream of a link that is sound, one that can be decoded before others."""
    sounds = [stream for stream in link.values() if stream.codec]
    return min(sounds, key=lambda stream: stream.codec not in DECODED, default=None)


def _part(file: BinaryIO, sound: _Stream) -> Part:
    part = Part(tuple(sound.pages))
    if sound.codec == "FLAC":  # the first page's body is 9 bytes, and a FLAC file's beginning
        from voxface.runtime.audio.containers.flac import counted

        first, *rest = sound.bodies
        part = counted(file, (Span(first.start + 9, first.end), *rest))
    return part._replace(open_end="" if sound.ended else NO_END)


def _codec(file: BinaryIO, page: Page) -> str:
    file.seek(page.body)
    head = file.read(8)
    return next((name for magic, name in _CODECS.items() if head.startswith(magic)), "")


def pages(file: BinaryIO, size: int) -> Iterator[Page]:
    """The whole pages of a file of `size` bytes that have the right checksum; what lies between them is skipped.

    Raises:
        InputError: too many have a wrong one.
    """
    window, at, after, broken = Window(file, size), 0, 0, 0
    while (found := window.find(_START, at, _PAGE.size)) is not None:
        head = window.read(found, _PAGE.size + 255)
        if len(head) < _PAGE.size:
            return
        _, _, flags, granule, serial, number, checksum, segments = _PAGE.unpack_from(head)
        body = found + _PAGE.size + segments
        end = body + sum(head[_PAGE.size : _PAGE.size + segments])
        if end > size or _checksum(window.read(found, end - found)) != checksum:
            at, broken = found + 4, broken + 1
            if broken > MOST_BROKEN:
                raise InputError(f"damaged, more than {MOST_BROKEN} Ogg pages have a wrong checksum")
            continue
        yield Page(found, body, end, serial, flags, number, granule, after)
        at = after = end


def _checksum(page: bytes) -> int:
    """The checksum of a page: zlib's polynomial with each byte's bits, and the result's, in the other order."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(value.to_bytes(4, "little").translate(_MIRRORED), "big")
