"""Marks in PNG files: XMP, text, and C2PA manifests."""

import zlib
from collections.abc import Iterator
from typing import Final

from voxface.runtime.provenance.content_credentials import read_manifest
from voxface.runtime.provenance.found_mark import FoundMark, text
from voxface.runtime.provenance.png_text import SIGNATURE, XMP_KEYWORD
from voxface.runtime.provenance.readers.xmp import read_xmp

LARGEST_TEXT: Final = 1 << 20  # bytes, unpacked
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")


def read_png(data: bytes) -> list[FoundMark]:
    """The marks of a PNG file.

    Raises:
        ValueError: the file is cut off or damaged.
    """
    found: list[FoundMark] = []
    words: dict[str, str] = {}
    for kind, content in _chunks(data):
        if kind in _TEXTS:
            keyword, said = _text_of(kind, content)
            if keyword == XMP_KEYWORD:
                found += read_xmp(f"{kind.decode()} {keyword}", said)
            elif keyword in ("Software", "Description"):
                words.setdefault(keyword, said)
        elif kind == b"caBX":
            found += read_manifest("caBX", "image/png", data, content)
    if "Software" in words:
        software, notice = text(words["Software"]), text(words.get("Description"))
        ours = (software or "").startswith("voxface ")
        found.append(FoundMark("text", software=software, notice=notice if ours else None, ours=ours))
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk before the end."""
    at = len(SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise ValueError("it ends before its last chunk")
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(data):
            raise ValueError(f"a chunk of {size} bytes goes beyond its end")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise ValueError(f"the checksum of a chunk at byte {at} is wrong")
        if kind == b"IEND":
            return
        yield kind, data[at + 8 : end - 4]
        at = end


def _text_of(kind: bytes, content: bytes) -> tuple[str, str]:
    """Keyword and text of a text chunk."""
    keyword, nul, rest = content.partition(b"\0")
    if not nul:
        raise ValueError("text without its keyword")
    packed = kind == b"zTXt"
    encoding = "latin-1"
    if packed:
        rest = rest[1:]  # the method, of which there is one
    elif kind == b"iTXt":
        encoding = "utf-8"
        packed = rest[:1] == b"\1"
        _, _, rest = rest[2:].partition(b"\0")  # language
        _, _, rest = rest.partition(b"\0")  # keyword in that language
    if packed:
        unpacker = zlib.decompressobj()
        rest = unpacker.decompress(rest, LARGEST_TEXT)
    if len(rest) >= LARGEST_TEXT:
        raise ValueError(f"more than {LARGEST_TEXT} bytes of text")
    return keyword.decode("latin-1"), rest.decode(encoding, "replace")
