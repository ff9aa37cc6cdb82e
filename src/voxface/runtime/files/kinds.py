"""Kinds of files that are brought in place of another, told by how they begin."""

from pathlib import Path
from typing import Final

_HEAD: Final = 512  # bytes
_BEGINNINGS: Final = (
    (b"version https://git-lfs.github.com", "a pointer of Git LFS (git lfs pull fetches the file itself)"),
    (b"\x00\x05\x16\x07", "metadata of macOS (AppleDouble)"),
    (b"\x1f\x8b", "packed with gzip (unpack it first)"),
    (b"BZh", "packed with bzip2 (unpack it first)"),
    (b"\xfd7zXZ\0", "packed with xz (unpack it first)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive (unpack it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a single array (.npy)"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"fLaC", "a sound file (FLAC)"),
    (b"OggS", "a sound file (Ogg)"),
    (b"RIFF", "a sound file (WAV), or another RIFF file"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
)
# Of ISO base media files, by the brand that follows "ftyp" at byte 4: how phones save photographs.
_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "a picture (HEIC)"),
    **dict.fromkeys((b"avif", b"avis"), "a picture (AVIF)"),
}


def kind_of_bytes(head: bytes) -> str | None:
    """The kind of a file by its first bytes, with its article; None for kinds that are not told here."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if not head.strip(b"\0"):
        return "empty" if not head else "nothing but zeros"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page"
    return None


def kind_of_file(path: Path) -> str | None:
    """`kind_of_bytes` of a file; None also where it cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return kind_of_bytes(file.read(_HEAD))
    except OSError:
        return None
