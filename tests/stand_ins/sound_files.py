"""Small sound files of many formats, whole and as unlucky writers leave them."""

import io
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.conftest import SAMPLES

RATE: Final = 16_000


def speech(seconds: float = 2.0) -> NDArray[np.int16]:
    """The beginning of a real recording, int16 [n] at 16 kHz."""
    samples: NDArray[np.int16] = soundfile.read(SAMPLES[0], frames=int(seconds * RATE), dtype="int16")[0]
    return samples


def encoded(samples: NDArray[Any], form: str, subtype: str | None = None, rate: int = RATE, **options: Any) -> bytes:
    """A whole file of samples [n] or [n, channels], as libsndfile writes it."""
    file = io.BytesIO()
    if form == "MP3":
        subtype = subtype or "MPEG_LAYER_III"
    with soundfile.SoundFile(
        file, "w", rate, 1 if samples.ndim == 1 else samples.shape[1], subtype, format=form, **options
    ) as writer:
        writer.write(samples)
    return file.getvalue()


def chunk(name: bytes, content: bytes, size: int | None = None, order: str = "<", *, pad: bool = True) -> bytes:
    """A chunk that announces `size` bytes, else as many as it has."""
    count = len(content) if size is None else size
    return name + struct.pack(order + "I", count) + content + (b"\0" if pad and len(content) % 2 else b"")


def pcm_format(channels: int = 1, rate: int = RATE, bits: int = 16, tag: int = 1, order: str = "<") -> bytes:
    """The content of a WAV file's format chunk."""
    block = channels * bits // 8
    return struct.pack(order + "HHIIHH", tag, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits)


def wav(
    data: bytes,
    *,
    size: int | None = None,
    riff: int | None = None,
    form: bytes | None = None,
    before: bytes = b"",
    after: bytes = b"",
    kind: bytes = b"RIFF",
) -> bytes:
    """A WAV file that announces `size` bytes of sound and `riff` bytes in all, else as many as there are."""
    order = ">" if kind == b"RIFX" else "<"
    form = pcm_format(order=order) if form is None else form
    body = (
        b"WAVE"
        + chunk(b"fmt ", form, order=order)
        + before
        + chunk(b"data", data, size, order, pad=bool(after))
        + after
    )
    return kind + struct.pack(order + "I", len(body) if riff is None else riff) + body


def rf64(data: bytes, *, size: int, riff: int) -> bytes:
    """An RF64 file whose 64-bit sizes are `size` and `riff`."""
    sizes = chunk(b"ds64", struct.pack("<QQQI", riff, size, 0, 0))
    body = b"WAVE" + sizes + chunk(b"fmt ", pcm_format()) + chunk(b"data", data, 0xFFFFFFFF)
    return b"RF64" + struct.pack("<I", 0xFFFFFFFF) + body


def id3v2(size: int) -> bytes:
    """An ID3v2 tag with `size` bytes of content, as of a picture: frame headers of MP3 are among them."""
    syncsafe = bytes(size >> 7 * place & 127 for place in (3, 2, 1, 0))
    return b"ID3\x04\0\0" + syncsafe + (b"\xff\xfb\x90\xc4JPEG" * (size // 8 + 1))[:size]


def ape_tag(size: int) -> bytes:
    """An APE tag with header and footer and `size` bytes between."""
    numbers = struct.pack("<II", 2000, size + 32), bytes(8)
    head = b"APETAGEX" + numbers[0] + struct.pack("<II", 1, 0xA0000000) + numbers[1]
    foot = b"APETAGEX" + numbers[0] + struct.pack("<II", 1, 0x80000000) + numbers[1]
    return head + bytes(size) + foot


def without_info(mp3: bytes) -> bytes:
    """An MP3 of libsndfile without the frame that counts the others."""
    from voxface.runtime.audio.containers import mpeg

    header = mpeg.parse(mp3)
    assert header is not None
    assert b"Xing" in mp3[: header.size] or b"Info" in mp3[: header.size]
    return mp3[header.size :]


def silent_frames(word: int, count: int) -> bytes:
    """Frames of MPEG audio without sound whose header is the number `word`."""
    from voxface.runtime.audio.containers import mpeg

    header = mpeg.parse(struct.pack(">I", word))
    assert header is not None
    return struct.pack(">I", word).ljust(header.size, b"\0") * count


def ogg_pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    pages, at = [], 0
    while at < len(data):
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        pages.append(data[at:end])
        at = end
    return pages


def ogg_page(page: bytes, *, serial: int | None = None, granule: int | None = None, flags: int | None = None) -> bytes:
    """A page with another serial number, place in time or flags, and the right checksum."""
    changed = bytearray(page)
    if flags is not None:
        changed[5] = flags
    if granule is not None:
        changed[6:14] = struct.pack("<q", granule)
    if serial is not None:
        changed[14:18] = struct.pack("<I", serial)
    changed[22:26] = bytes(4)
    changed[22:26] = struct.pack("<I", _checksum(bytes(changed)))
    return bytes(changed)


def with_serial(data: bytes, serial: int) -> bytes:
    """An Ogg file of another serial number."""
    return b"".join(ogg_page(page, serial=serial) for page in ogg_pages(data))


def ogg_stream(packets: Sequence[bytes], serial: int, *, packets_a_page: int = 8, end: bool = True) -> bytes:
    """An Ogg stream of packets: the first on a page of its own, as every mapping wants it."""
    groups = [packets[:1], *(packets[at : at + packets_a_page] for at in range(1, len(packets), packets_a_page))]
    made = []
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        flags = (2 if number == 0 else 0) | (4 if last and end else 0)
        table = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in group)
        assert len(table) < 256
        head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, number, serial, number, 0, len(table))
        made.append(ogg_page(head + table + b"".join(group)))
    return b"".join(made)


def flac_in_ogg(flac: bytes, serial: int = 7) -> bytes:
    """A FLAC file of libsndfile in an Ogg container: xiph.org/flac/ogg_mapping.html."""
    at, blocks = 4, []
    while True:
        last, size = flac[at] & 0x80, int.from_bytes(flac[at + 1 : at + 4], "big")
        blocks.append(flac[at : at + 4 + size])
        at += 4 + size
        if last:
            break
    frames, body = [], flac[at:]
    sync, places = body[:2], [0]
    for number in range(1, 1 << 10):  # frames of a fixed block size count themselves in UTF-8
        counted = bytes([number]) if number < 128 else bytes([0xC0 | number >> 6, 0x80 | number & 63])
        at = places[-1] + 4
        while (at := body.find(sync, at)) >= 0 and body[at + 4 : at + 4 + len(counted)] != counted:
            at += 1
        if at < 0:
            break
        places.append(at)
    frames = [body[a:b] for a, b in zip(places, [*places[1:], len(body)], strict=True)]
    first = b"\x7fFLAC\x01\0" + struct.pack(">H", len(blocks) - 1) + b"fLaC" + blocks[0]
    return ogg_stream([first, *blocks[1:], *frames], serial, packets_a_page=2)


def _checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value


def _row(number: int) -> int:
    value = number << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


_TABLE: Final = [_row(number) for number in range(256)]
