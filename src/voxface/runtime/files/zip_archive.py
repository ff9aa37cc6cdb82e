"""Zip archives from strangers: what an archive declares is checked before anything is unpacked."""

import bz2
import lzma
import struct
import zipfile
import zlib
from types import TracebackType
from typing import BinaryIO, Final, Self

LARGEST_DIRECTORY: Final = 1 << 20  # bytes of the table of members
_LOCAL_HEADER: Final = (
    30  # bytes before a member's name; its last four are the lengths of the name and of the extra field
)
_LZMA_HEADER: Final = 9  # bytes of the properties of LZMA before a member's data
_ENCRYPTED: Final = 1


class _Bounded:
    """A file of which no more than a table of members is read at once: zipfile reads as much as the archive says."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of members has {size} bytes")
        return self._read(size)


class ZipArchive:
    """An archive whose members do not overlap, have different names, and unpack to not much more than is stored.

    Attributes:
        sizes: name -> bytes that the member declares to have when it is unpacked, in the archive's order.
    """

    def __init__(self, file: BinaryIO, *, least: int, ratio: int) -> None:
        """Reads the table of members.

        Args:
            file: the open archive, which is closed with this object.
            least: bytes that the members that are read may have in all, however small the archive is.
            ratio: how many times the archive's own bytes they may have beside these.

        Raises:
            ValueError: the archive is refused; others of `voxface.runtime.files.damage.DAMAGE`: it cannot be read.
        """
        self._file = file
        stored = file.seek(0, 2)
        with zipfile.ZipFile(_Bounded(file)) as z:
            members = z.infolist()
        self._members = {member.filename: member for member in members}
        self.sizes = {member.filename: member.file_size for member in members}
        if len(self._members) != len(members):
            raise ValueError("two of its members have one name")
        if sum(_LOCAL_HEADER + member.compress_size for member in members) > stored:
            raise ValueError("its members overlap")
        self._stored, self._most = stored, least + ratio * stored
        self._read = 0

    def read(self, name: str) -> bytes:
        """A member, unpacked; never more than it declares.

        Raises:
            KeyError: there is no such member.
            ValueError: it does not have the size that it declares, it is encrypted, or what is read declares more in all than
                the archive may stand for; others of `voxface.runtime.files.damage.DAMAGE`: it is damaged.
        """
        member = self._members[name]
        if member.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name} is encrypted")
        self._read += member.file_size
        if self._read > self._most:
            raise ValueError(
                f"its {self._stored} bytes declare {self._read} unpacked, more than the {self._most} they may stand for"
            )
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
            raise zipfile.BadZipFile(f"{name} is not where the table of members says")
        self._file.seek(sum(struct.unpack("<HH", header[-4:])), 1)
        data = _unpacked(self._file.read(member.compress_size), member)
        if len(data) != member.file_size:
            raise ValueError(f"{name} does not have the {member.file_size} bytes that it declares")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _unpacked(stored: bytes, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, at most one more than it declares. zipfile itself unpacks LZMA and BZIP2 without a bound."""
    size, method = member.file_size, member.compress_type
    if method == zipfile.ZIP_STORED:
        return stored
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored, size + 1)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(stored, size + 1)
    if method == zipfile.ZIP_LZMA:
        properties, dictionary = struct.unpack("<BI", stored[4:_LZMA_HEADER])
        if properties >= 9 * 5 * 5:
            raise lzma.LZMAError("unknown properties")
        settings = {
            "id": lzma.FILTER_LZMA1,
            "lc": properties % 9,
            "lp": properties // 9 % 5,
            "pb": properties // 45,
            "dict_size": max(4096, min(dictionary, size)),  # which is allocated whole, and may be 4 GB
        }
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])
        return unpacker.decompress(stored[_LZMA_HEADER:], size + 1)
    raise ValueError(f"{member.filename} is packed by method {method}, which is not read")
