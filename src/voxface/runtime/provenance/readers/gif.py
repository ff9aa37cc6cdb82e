"""Marks in GIF files: comments, and XMP in an application extension."""

from collections.abc import Iterator
from typing import Final

from voxface.runtime.provenance.found_mark import FoundMark
from voxface.runtime.provenance.gif_comment import COMMENT, first_block
from voxface.runtime.provenance.readers.comment import mark_in_comments
from voxface.runtime.provenance.readers.xmp import read_xmp

LARGEST_TEXT: Final = 1 << 16  # bytes of a comment
_APPLICATION: Final = b"\x21\xff"
_XMP: Final = b"\x0bXMP DataXMP"
# Behind a packet, these lead a reader of blocks to its end, wherever the packet threw it; the last one is the empty block.
_XMP_TRAILER: Final = bytes([1, *range(255, -1, -1)])


def read_gif(data: bytes) -> list[FoundMark]:
    """The marks of a GIF file.

    Raises:
        ValueError: the file is cut off or damaged.
    """
    found: list[FoundMark] = []
    for kind, content in _extensions(data):
        if kind == COMMENT:
            found += mark_in_comments(_joined(content)[:LARGEST_TEXT].decode("utf-8", "replace").splitlines())
        elif kind == _APPLICATION and content.startswith(_XMP):
            packet = content[len(_XMP) :]
            # It stands there as it is; some programs cut it into blocks all the same.
            packet = packet.removesuffix(_XMP_TRAILER) if packet.endswith(_XMP_TRAILER) else _joined(packet)
            found += read_xmp("XMP", packet.decode("utf-8", "replace"))
    return found


def _extensions(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content, blocks with their sizes, of each extension before the end."""
    at = first_block(data)
    while True:
        kind = data[at : at + 1]
        if kind == b";":
            return
        if kind == b"!":
            end = _end_of_blocks(data, at + 2)
            yield data[at : at + 2], data[at + 2 : end - 1]
        elif kind == b",":
            if at + 10 > len(data):
                raise ValueError("it ends before its last block")
            colours = 3 << (1 + (data[at + 9] & 7)) if data[at + 9] & 0x80 else 0
            end = _end_of_blocks(data, at + 10 + colours + 1)  # behind them a byte for the size of codes
        else:
            raise ValueError(f"no block at byte {at}" if kind else "it ends before its last block")
        at = end


def _end_of_blocks(data: bytes, at: int) -> int:
    """The byte behind blocks of data, of which the last one is empty."""
    while True:
        if at >= len(data):
            raise ValueError("it ends before its last block")
        size, at = data[at], at + 1 + data[at]
        if not size:
            return at


def _joined(blocks: bytes) -> bytes:
    """Blocks of data without their sizes."""
    parts, at = [], 0
    while at < len(blocks):
        parts.append(blocks[at + 1 : at + 1 + blocks[at]])
        at += 1 + blocks[at]
    return b"".join(parts)
