"""WAV, RF64, BW64 and W64: where their sound lies, whatever their sizes say.

Chunks: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991); RF64: EBU Tech 3306;
W64: Sony Pictures Digital, Sonic Foundry's 64-bit format.
"""

import re
import struct
from typing import BinaryIO, Final, NamedTuple

from voxface.runtime.audio.containers import chunks
from voxface.runtime.audio.containers.chunks import RIFF, RIFX, W64
from voxface.runtime.audio.containers.part import Part, Span
from voxface.runtime.audio.samples import check_header
from voxface.runtime.errors import InputError

MPEG_TAGS: Final = (0x50, 0x55)  # MPEG layers I and II, layer III
# PCM, MS ADPCM, float, A-law, µ-law, IMA ADPCM, GSM 6.10, NMS ADPCM, G.721; 0xFFFE: named by the extension.
DECODED_TAGS: Final = (1, 2, 3, 6, 7, 0x11, 0x31, 0x38, 0x40, 0xFFFE)
BEGINS: Final = re.compile(rb"(?:RIFF|RIFX|RF64|BW64)....WAVE|riff\x2e\x91\xcf\x11", re.DOTALL)
RIFF_LIMIT: Final = 0xFFFFFFFF


class Wav(NamedTuple):
    """The sound of a WAV file.

    Attributes:
        tag: number of its coding.
        sound: where it lies.
        part: what a decoder should read.
        next: the byte at which another WAV file begins that was joined to it; None if none was.
    """

    tag: int
    sound: Span
    part: Part
    next: int | None


def read_wav(file: BinaryIO, size: int, base: int = 0) -> Wav:
    """The sound of a WAV, RF64, BW64 or W64 file that begins at byte `base` of a file of `size` bytes.

    Raises:
        InputError: its header is cut short, or gives an impossible rate or number of channels.
    """
    file.seek(base)
    kind = file.read(4)
    layout, first = (W64, 40) if kind == b"riff" else (RIFX if kind == b"RIFX" else RIFF, 12)
    form, large, data, aligned = b"", b"", None, True
    for chunk in chunks.walk(file, base + first, size, layout):
        name = chunk.name[:4]
        aligned = aligned and chunk.start % 2 == 0
        if name == b"fmt " and not form:
            file.seek(chunk.start)
            form = file.read(min(chunk.size, 1 << 12))
        elif name == b"ds64" and not large:
            file.seek(chunk.start)
            large = file.read(24)
        elif name == b"data":
            data = chunk
            break
    if data is None or len(form) < 16:
        raise InputError(f"its header is damaged or cut short: no {'data' if len(form) >= 16 else 'format'} in it")
    order = ">" if kind == b"RIFX" else "<"
    tag, channels, rate, _, block = struct.unpack_from(order + "HHIIH", form)
    check_header(rate, channels)
    announced, unknown = data.size, chunks.UNKNOWN_SIZE
    if layout is W64:
        unknown = chunks.UNKNOWN_SIZE_64
    elif kind in (b"RF64", b"BW64") and announced == RIFF_LIMIT:
        announced, unknown = struct.unpack_from("<Q", large, 8)[0] if len(large) == 24 else 0, chunks.UNKNOWN_SIZE_64
    end, promised = chunks.extent(file, data.start, announced, size, layout, unknown, begins=BEGINS)
    sound = Span(data.start, end)
    after = chunks.joined(file, end, size, layout, BEGINS)
    plain = aligned and not base and after is None and kind != b"BW64" and announced == promised == sound.size
    return Wav(tag, sound, Part(None if plain else _mended(order, form, sound, block), promised, sound.size), after)


def _mended(order: str, form: bytes, sound: Span, block: int) -> tuple[bytes | Span, ...]:
    """A file of the same sound with nothing but the chunks that a decoder needs, and their true sizes."""
    size = sound.size // block * block if 0 < block <= sound.size else sound.size
    form += bytes(len(form) % 2)
    length = 4 + 8 + len(form) + 8 + size
    head = b"WAVE"
    if length > RIFF_LIMIT:
        length += 36
        head += struct.pack("<4sIQQQI", b"ds64", 28, length, size, 0, 0)
        size = RIFF_LIMIT
        head = b"RF64" + struct.pack("<I", RIFF_LIMIT) + head
    else:
        head = (b"RIFX" if order == ">" else b"RIFF") + struct.pack(order + "I", length) + head
    head += struct.pack(order + "4sI", b"fmt ", len(form)) + form + struct.pack(order + "4sI", b"data", size)
    return head, sound
