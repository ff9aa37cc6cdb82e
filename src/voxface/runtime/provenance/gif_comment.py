"""The mark as a comment of a GIF file (GIF89a, section 24), which programs that show a picture's comments show."""

from typing import Final

from voxface.runtime.provenance.comment import comment_lines
from voxface.runtime.provenance.mark import Mark

COMMENT: Final = b"\x21\xfe"
_LARGEST_BLOCK: Final = 255


def with_gif_mark(data: bytes, mark: Mark) -> bytes:
    """A GIF file that says what a generated face says of itself, its pictures as they were.

    Raises:
        ValueError: it is no GIF file.
    """
    at = first_block(data)
    text = "\n".join(comment_lines(mark, None)).encode()
    blocks = b"".join(
        bytes([len(part)]) + part
        for part in (text[start : start + _LARGEST_BLOCK] for start in range(0, len(text), _LARGEST_BLOCK))
    )
    # Comments came with the version of 1989.
    return b"GIF89a" + data[6:at] + COMMENT + blocks + b"\0" + data[at:]


def first_block(data: bytes) -> int:
    """The byte behind the header and the colours of all pictures, at which the blocks of a GIF file begin.

    Raises:
        ValueError: it is no GIF file, or ends before.
    """
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        raise ValueError("expected a GIF file")
    at = 13
    if len(data) > 10 and data[10] & 0x80:
        at += 3 << (1 + (data[10] & 7))
    if at >= len(data):
        raise ValueError("it ends within its header")
    return at
