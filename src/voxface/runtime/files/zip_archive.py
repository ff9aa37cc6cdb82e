"""Zip archives from strangers: what an archive declares is checked before anything is unpacked."""

import lzma
import zipfile
import zlib
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, Final

DAMAGE: Final = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
LARGEST_DIRECTORY: Final = 1 << 20  # bytes of the table of members
_LOCAL_HEADER: Final = 30  # bytes before a member's name; the lengths of name and extra field are its last four


class _Directory(BytesIO):
    """Bytes of an archive, of which no more than a table of members is read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of members has {size} bytes")
        return super().read(size)


class _DirectoryOfFile(FileIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of members has {size} bytes")
        return super().read(-1 if size is None else size) or b""


class ZipArchive:
    """The members of a zip archive. Members that overlap, have one name, or declare far more than is stored are refused.

    Attributes:
        sizes: name -> bytes that the member declares to have when it is unpacked.
        stored: bytes of the archive.
    """

    def __init__(self, source: Path | bytes, *, least: int, ratio: int) -> None:
        """Reads the table of members.

        Args:
            source: the file, or its bytes.
            least: bytes that the members may have in all, however small the archive is.
            ratio: how many times the archive's own bytes the members may have beside these.

        Raises:
            ValueError: the archive is refused.
            OSError, zipfile.BadZipFile: it cannot be read; see `DAMAGE`.
        """
        self._file: BinaryIO = _Directory(source) if isinstance(source, bytes) else _DirectoryOfFile(source, "r")  # type: ignore[assignment]
        try:
            self.stored = self._file.seek(0, 2)
            with zipfile.ZipFile(self._file) as z:
                members = z.infolist()
            if isinstance(source, bytes):
                self._file = BytesIO(source)
        except BaseException:
            self._file.close()
            raise
