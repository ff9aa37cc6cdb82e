"""Arrays too large for memory: rows in numbered `.npy` files, written batch after batch, and read where they are asked for.

    NAME-00000.npy, NAME-00001.npy, …      each with whole batches of rows; all but the last at least as large as asked for

A training draws rows at random from many gigabytes. Mapped into memory they stay on disk until they are used.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType
from typing import IO, Any, Final, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

_HEADER: Final = 128  # bytes; numpy allows any multiple of 64
SHARD_BYTES: Final = 256 << 20


class ShardedRows:
    """Several arrays of equal rows as one, which is read only where it is indexed.

    Attributes:
        shape, dtype: of the whole.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        """`parts`: one or more arrays [n, …], alike but for n.

        Raises:
            ValueError: they are not alike.
        """
        kinds = {(part.dtype, part.shape[1:]) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"shards of {len(kinds)} kinds")
        ((self.dtype, row),) = kinds
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *row)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | NDArray[np.integer[Any]] | EllipsisType) -> NDArray[Any]:
        """A row, consecutive rows, or the rows of whole numbers [n] in their order; a copy where it is of several shards."""
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            if step != 1:
                return self[np.arange(begin, end, step)]
            first, last = (int(np.searchsorted(self._ends, at, "right")) for at in (begin, max(begin, end - 1)))
            if first >= len(self._parts):
                return self._parts[-1][:0]
            start = int(self._ends[first]) - len(self._parts[first])
            if first == last:
                return self._parts[first][begin - start : max(begin, end) - start]
            pieces = [self._parts[first][begin - start :], *self._parts[first + 1 : last]]
            before = int(self._ends[last - 1])
            return np.concatenate([*pieces, self._parts[last][: end - before]])
        if index is Ellipsis:
            return np.concatenate(self._parts)
        rows = np.asarray(index)
        if rows.ndim == 0:
            row = int(rows)
            if not -len(self) <= row < len(self):
                self._beyond(row)
            row %= len(self)
            found: NDArray[Any] = self[row : row + 1][0]
            return found
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        if len(rows) and not (-len(self) <= rows.min() and rows.max() < len(self)):
            self._beyond(int(rows.max()))
        rows = rows % max(1, len(self))
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        shard = np.searchsorted(self._ends, rows, "right")
        for number in np.unique(shard):
            part = self._parts[number]
            own = shard == number
            found[own] = part[rows[own] - (int(self._ends[number]) - len(part))]
        return found

    def _beyond(self, row: int) -> NoReturn:
        raise IndexError(f"row {row} of {len(self)}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole, in memory."""
        return np.asarray(np.concatenate(self._parts), dtype)


Rows = NDArray[Any] | ShardedRows
"""An array [n, …], or one that is read where it is indexed."""


class ShardWriter:
    """Writes rows of one kind to `NAME-00000.npy` and so on in a folder; a context manager.

    Attributes:
        rows: how many have been written.
    """

    def __init__(
        self, folder: Path, name: str, row: tuple[int, ...], dtype: Any, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._folder, self._name, self._row, self._dtype = folder, name, row, np.dtype(dtype)
        self._most, self._number, self._own = shard_bytes, -1, 0
        self._file: IO[bytes] | None = None
        self.rows = 0

    def append(self, rows: NDArray[Any]) -> None:
        """Writes rows [n, …], all into one shard.

        Raises:
            ValueError: they are of another kind.
            OSError: they cannot be written.
        """
        if rows.shape[1:] != self._row or rows.dtype != self._dtype:
            raise ValueError(f"rows of {rows.dtype} {list(rows.shape[1:])}, {self._dtype} {list(self._row)} wanted")
        if self._file is None:
            self._number += 1
            self._own = 0
            self._file = (self._folder / f"{self._name}-{self._number:05d}.npy").open("wb")
            self._file.write(bytes(_HEADER))
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._own += len(rows)
        self.rows += len(rows)
        if self._file.tell() - _HEADER >= self._most:
            self._close()

    def _close(self) -> None:
        if self._file is None:
            return
        self._file.seek(0)
        self._file.write(_header((self._own, *self._row), self._dtype))
        self._file.close()
        self._file = None

    def close(self) -> None:
        """Ends the last shard; without any row, one of none is written."""
        if self._number < 0:
            self.append(np.empty((0, *self._row), self._dtype))
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._file is not None:
            self._file.close()


def is_shard(file: str, name: str) -> bool:
    """Whether a file's name is that of a shard of `name`."""
    return re.fullmatch(rf"{re.escape(name)}-\d{{5}}\.npy", file) is not None


def open_shards(folder: Path, names: Sequence[str]) -> ShardedRows:
    """The rows of these files, mapped into memory.

    Raises:
        ValueError, OSError, EOFError: a file is missing or damaged, or they are of different kinds.
    """
    return ShardedRows([_mapped(folder / name) for name in names])


def _mapped(file: Path) -> NDArray[Any]:
    if file.stat().st_size <= _HEADER:  # nothing that could be mapped
        return np.asarray(np.load(file, allow_pickle=False))
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The beginning of an `.npy` file, of `_HEADER` bytes whatever the shape."""
    about = repr({"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}).encode(
        "latin1"
    )
    magic = np.lib.format.magic(1, 0)
    length = _HEADER - len(magic) - 2
    return magic + length.to_bytes(2, "little") + about.ljust(length - 1) + b"\n"
