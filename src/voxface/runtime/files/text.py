"""Text files as people save them: UTF-8 with or without a byte-order mark, and any end of line."""

import codecs
import json
from pathlib import Path
from typing import Any, Final

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.kinds import kind_of_bytes
from voxface.runtime.files.regular import read_bytes

LARGEST: Final = 256 << 20  # bytes


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a file without byte-order mark, every line ended by a line feed.

    Raises:
        InputError: the file cannot be read, or is no text in UTF-8.
    """
    return decode_text(read_bytes(path, most), path)


def decode_text(data: bytes, source: Path | str) -> str:
    """As `read_text`, of bytes that were read already; `source` stands for them in messages.

    Raises:
        InputError: they are no text in UTF-8.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{source}: is text in UTF-16; save it as UTF-8")
    if b"\0" in data[:4096]:
        kind = kind_of_bytes(data[:512]) or "text in UTF-16, or no text at all"
        raise InputError(f"{source}: is {kind}; a text file in UTF-8 is needed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source}: is no text in UTF-8 (byte {data[error.start]:#04x} at {error.start}); save it as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path, most: int = LARGEST) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: the file cannot be read, or is no JSON.
    """
    text = read_text(path, most)
    with reading(path, "a JSON file"):
        return json.loads(text)
