"""The mark as chunks of a PNG file: XMP, where pictures' metadata are looked for, and plain text, which most viewers show."""

import struct
import zlib
from functools import lru_cache
from typing import Final

from voxface.runtime.provenance.mark import SOFTWARE, Mark
from voxface.runtime.provenance.xmp import xmp_packet

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD: Final = "XML:com.adobe.xmp"


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@lru_cache(maxsize=8)  # a live session writes ten pictures a second with one mark
def mark_chunks(mark: Mark) -> bytes:
    """The chunks of a mark, which stand before the pixels."""
    return _text("Software", SOFTWARE) + _text("Description", mark.notice) + _itxt(XMP_KEYWORD, xmp_packet(mark))


def _text(keyword: str, text: str) -> bytes:
    """`tEXt`, which every reader knows, or `iTXt` where the text has letters beyond Latin-1."""
    try:
        return chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _itxt(keyword, text)


def _itxt(keyword: str, text: str) -> bytes:
    """Text in UTF-8, not compressed, of no language."""
    encoded = text.encode("utf-8", "backslashreplace")
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + encoded)
