"""The marks of a file: which format it has, and what it says of how it came about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.kinds import kind_of_bytes
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.files.text import decode_text
from voxface.runtime.provenance.found_mark import FoundMark, merged
from voxface.runtime.provenance.png_text import SIGNATURE

LARGEST: Final = 256 << 20  # bytes
FORMATS: Final = ("PNG", "GIF", "GLB", "OBJ", "PLY", "JSON", "HTML")


@dataclass(frozen=True)
class Findings:
    """What was found in a file.

    Attributes:
        file: the file.
        format: one of `FORMATS`.
        marks: what it says, each once.
    """

    file: Path
    format: str
    marks: tuple[FoundMark, ...]

    @property
    def synthetic(self) -> bool:
        """Whether any mark says that it was generated."""
        return any(mark.synthetic for mark in self.marks)

    def to_json(self) -> dict[str, Any]:
        """An entry of "files" in the document of `voxface provenance`."""
        return {
            "file": str(self.file),
            "format": self.format,
            "synthetic": self.synthetic,
            "by_voxface": any(mark.ours for mark in self.marks),
            "marks": [mark.to_json() for mark in self.marks],
        }


def find_marks(file: Path) -> Findings:
    """The marks of a file.

    Raises:
        InputError: it cannot be read, has more than `LARGEST` bytes, none of the `FORMATS`, or is damaged.
    """
    data = read_bytes(file, LARGEST)
    kind = _format(file, data)
    with reading(str(file), f"a {kind} file"):  # as text: which kind it is, is known
        return Findings(file, kind, merged(_read(kind, data, file)))


def _format(file: Path, data: bytes) -> str:
    """The format by the first bytes; OBJ, which begins with anything, by its name."""
    head = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip()
    if data.startswith(SIGNATURE):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"glTF"):
        return "GLB"
    if data.startswith((b"ply\n", b"ply\r")):
        return "PLY"
    if head.startswith((b"{", b"[")):
        return "JSON"
    if head.lower().startswith((b"<!doctype html", b"<html", b"<head")):
        return "HTML"
    if head and file.suffix.lower() == ".obj" and b"\0" not in data[:4096]:
        return "OBJ"
    found = kind_of_bytes(data[:512])
    raise InputError(
        f"{file}: is {found}"
        if found
        else f"{file}: is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file that marks are read of"
    )


def _read(kind: str, data: bytes, file: Path) -> list[FoundMark]:
    """The marks; each reader is loaded when it is needed."""
    if kind == "PNG":
        from voxface.runtime.provenance.readers.png import read_png

        return read_png(data)
    if kind == "GIF":
        from voxface.runtime.provenance.readers.gif import read_gif

        return read_gif(data)
    if kind == "GLB":
        from voxface.runtime.provenance.readers.glb import read_glb

        return read_glb(data)
    if kind in ("OBJ", "PLY"):
        from voxface.runtime.provenance.readers.comment import read_obj, read_ply

        return read_obj(data) if kind == "OBJ" else read_ply(data)
    content = decode_text(data, file)
    if kind == "JSON":
        from voxface.runtime.provenance.readers.json_text import read_json

        return read_json(content)
    from voxface.runtime.provenance.readers.html_text import read_html

    return read_html(content)
