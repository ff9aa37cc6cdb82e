"""Chunks: what WAV, RF64, W64, AIFF and CAF files are made of, each a name, a size and so many bytes."""

import re
import struct
from collections.abc import Iterator
from itertools import chain, takewhile
from typing import BinaryIO, Final, NamedTuple

from voxface.runtime.errors import InputError

MOST_CHUNKS: Final = 10_000
TAIL: Final = 1 << 16  # bytes at the end in which chunks behind sound of unknown length are looked for
UNKNOWN_SIZE: Final = 0x7FFF0000  # writers that do not know the length announce this many bytes or more
UNKNOWN_SIZE_64: Final = 1 << 62
# Chunks that writers put behind the sound.
AFTER_SOUND: Final = re.compile(
    rb"LIST|RIFF|id3 |ID3 |bext|iXML|axml|chna|fact|cue |smpl|inst|plst|acid|strc|afsp|PEAK|_PMX|JUNK|junk|FLLR|PAD |pad |DISP|"
    rb"umid|levl|minf|elm1|regn|ovwf|uuid|info|strg|mark|midi|pakt|"
    rb"MARK|INST|COMT|NAME|AUTH|ANNO|\(c\) |APPL|CHAN|AESD|SAXL|MIDI"
)
BEFORE_SOUND: Final = frozenset({b"data", b"fmt ", b"ds64", b"COMM", b"SSND", b"FVER"})
TAGS: Final = re.compile(
    rb"ID3[\x02-\x04]|TAG|APETAGEX|LYRICSBEGIN|PK\x03\x04|<\?x"
)  # appended by programs that know no chunks


class Layout(NamedTuple):
    """How a family of containers writes its chunks.

    Attributes:
        header: `struct` format of a chunk's header: name and size.
        own: bytes of the header that its size counts.
        align: multiple of bytes at which chunks begin.
    """

    header: struct.Struct
    own: int = 0
    align: int = 2


RIFF: Final = Layout(struct.Struct("<4sI"))
RIFX: Final = Layout(struct.Struct(">4sI"))  # and AIFF
CAF: Final = Layout(struct.Struct(">4sQ"), align=1)
W64: Final = Layout(struct.Struct("<16sQ"), own=24, align=8)
BEGINNING: Final = 16  # bytes that show that another file begins


class Chunk(NamedTuple):
    """A chunk: its name, where its content begins and how many bytes it announces."""

    name: bytes
    start: int
    size: int


def walk(file: BinaryIO, at: int, size: int, layout: Layout) -> Iterator[Chunk]:
    """The chunks of a file of `size` bytes from byte `at` on; the last one may announce more than the file has.

    Raises:
        InputError: there are too many.
    """
    length = layout.header.size
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(length)
        if len(header) < length:
            return
        name, count = layout.header.unpack(header)
        chunk = Chunk(name, at + length, max(0, count - layout.own))
        yield chunk
        end = chunk.start + chunk.size
        at = -(-end // layout.align) * layout.align if layout.align != 2 else end + chunk.size % 2
        if at != end and layout.align == 2 and _likely(file, end, size, layout) > _likely(file, at, size, layout):
            at = end  # its writer forgot the byte that makes the size even
        if at >= size:
            return
    raise InputError(f"more than {MOST_CHUNKS} chunks")


def _likely(file: BinaryIO, at: int, size: int, layout: Layout) -> int:
    """How likely a chunk begins at a place: 2 with a name that is known, 1 with a name and a size that can be, 0 else."""
    file.seek(at)
    header = file.read(layout.header.size)
    if len(header) < layout.header.size:
        return 0
    name, count = layout.header.unpack(header)
    if AFTER_SOUND.match(name) or name in BEFORE_SOUND:
        return 2
    return int(_is_printable(name) and at + len(header) + count <= size)


def _is_printable(name: bytes) -> bool:
    return all(32 <= letter < 127 for letter in name[:4])


def joined(file: BinaryIO, at: int, size: int, layout: Layout | None, begins: re.Pattern[bytes]) -> int | None:
    """Where behind sound that ends at a place, among the chunks there, another file begins that was joined to it.

    Args:
        begins: what files of this kind begin with.
    """
    if layout is None:
        behind: Iterator[Chunk] = iter(())
    else:
        behind = walk(file, -(-at // layout.align) * layout.align, size, layout)
        behind = takewhile(lambda chunk: _is_printable(chunk.name), behind)
    length = 0 if layout is None else layout.header.size
    for place in chain((at, at + at % 2), (chunk.start - length for chunk in behind)):
        file.seek(place)
        if begins.match(file.read(BEGINNING)):
            return place
    return None


def extent(
    file: BinaryIO,
    start: int,
    announced: int,
    size: int,
    layout: Layout | None,
    unknown: int = UNKNOWN_SIZE,
    *,
    begins: re.Pattern[bytes],
) -> tuple[int, int]:
    """Where sound ends that begins at `start`, and how many bytes of it the header announces.

    A header whose writer never filled in the size, or only that of the first block, announces nothing: then the sound ends
    at the chunks behind it, or with the file.

    Args:
        announced: the size in the header.
        size: of the file, bytes.
        layout: of the chunks that may follow; None: none may.
        unknown: from this size on, a header that announces more than there is was written without knowing.
        begins: what files of this kind begin with, since another one may follow.
    """
    there, known = size - start, announced
    if announced > there:
        if announced < unknown:
            return size, announced
        known = 0
    elif there - announced < 64 or _is_tail(file, start + announced, size, layout, begins, empty=not announced):
        return start + announced, announced
    end = _before_chunks(file, start + known, size, layout)
    return end, end - start


def _is_tail(
    file: BinaryIO, at: int, size: int, layout: Layout | None, begins: re.Pattern[bytes], *, empty: bool
) -> bool:
    """Whether what follows sound of a known size is no sound: chunks, another file, tags of other programs, or zeros.

    Args:
        empty: whether that size is 0; then zeros are silence at the beginning of sound.
    """
    file.seek(at)
    head = file.read(1 << 16)
    if any(TAGS.match(head, skip) for skip in (0, 1)) or not (empty or head.strip(b"\0") or at + len(head) < size):
        return True
    if begins.match(head) or begins.match(head, at % 2):
        return True
    if layout is None:
        return False
    for skip in {0, -at % layout.align}:
        name = head[skip : skip + 4]
        if AFTER_SOUND.match(name) or _is_chain(file, at + skip, size, layout):
            return True
    return False


def _is_chain(file: BinaryIO, at: int, size: int, layout: Layout) -> bool:
    """Whether chunks with printable names lead from a place to the end of the file."""
    end = at
    for number, chunk in enumerate(walk(file, at, size, layout)):
        if number > 100 or not _is_printable(chunk.name):
            return False
        end = chunk.start + chunk.size
    return abs(end - size) <= layout.align and end > at


def _before_chunks(file: BinaryIO, start: int, size: int, layout: Layout | None) -> int:
    """The end of sound of unknown length: where known chunks begin that lead to the end of the file, or that end."""
    first = max(start, size - TAIL)
    file.seek(first)
    tail = file.read(TAIL) if layout is not None else b""
    for found in AFTER_SOUND.finditer(tail):
        if layout is not None and _is_chain(file, first + found.start(), size, layout):
            return first + found.start()
    return size
