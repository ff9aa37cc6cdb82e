"""Files of `torch.save`, in the zip format and the one before 1.6, of `pickle.dump` and of safetensors, as data.

`torch.load(weights_only=True)` reads fewer of them (no pickle of protocol 4, no harmless object beside the weights) and
answers the others with "could run code" or with nothing. Formats: torch/serialization.py.
"""

import io
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.kinds import kind_of_bytes
from voxface.runtime.files.regular import LARGEST, open_regular
from voxface.training.foreign.pickled_arrays import bytes_of
from voxface.training.foreign.pickled_tensors import FROM_BYTES, StorageId, storage_id, tensor_of
from voxface.training.foreign.pickles import Made, Pickled, read_pickled

CHECKPOINT: Final = "a checkpoint of PyTorch"
SAVE_THE_STATE: Final = "save the network's state_dict() and give that"
_MAGIC: Final = 0x1950A86A20F9469CFC6C  # first value of a file before PyTorch 1.6
_PICKLES: Final = (b"\x80", b"(", b"}", b"]", b"c")  # first bytes of pickles, protocol 2 and above, then 0
_LARGEST_PICKLE: Final = 256 << 20  # bytes; it holds names and sizes, not weights
_LARGEST_HEADER: Final = 100_000_000  # bytes of JSON, as safetensors bounds it


class Checkpoint(Protocol):
    """A file's value, and the tensors in it."""

    value: Any

    def tensor(self, value: Any) -> Tensor:
        """The tensor that a part of the value stands for; see `pickled_tensors.tensor_of`."""
        ...


@dataclass
class _Tensors:
    """Tensors by name, without a pickle (safetensors)."""

    value: Mapping[str, Tensor]

    def tensor(self, value: Any) -> Tensor:
        assert isinstance(value, Tensor)
        return value


class _Pickle:
    """A pickle whose storages lie in a zip archive, or behind it."""

    def __init__(self, pickled: Pickled, *, big_endian: bool = False) -> None:
        self.value = pickled.value
        self._big = big_endian
        self._kept: dict[str, bytes] = {}
        self._left = LARGEST

    def tensor(self, value: Any) -> Tensor:
        return tensor_of(value, self.storage)

    def storage(self, value: Any) -> tuple[bytes, torch.dtype | None]:
        """Bytes of a storage in this machine's order, and the type of its numbers."""
        if isinstance(value, Made) and value.is_of(FROM_BYTES):
            data = bytes_of(value.arguments[0]) if value.arguments else None
            if data is None:
                raise ValueError("a storage without bytes")
            inner = _stream(bytes(data))
            return inner.storage(inner.value)
        wanted = storage_id(value)
        raw = self._kept.get(wanted.key)
        if raw is None:
            raw = self._native(self._read(wanted), wanted.dtype)
            self._left -= len(raw)
            if self._left < 0:
                raise ValueError(f"its weights have more than {LARGEST} bytes")
            self._kept[wanted.key] = raw
        if wanted.view is not None:
            width = _width(wanted)
            begin, count = (number * width for number in wanted.view)
            if min(begin, count) < 0 or begin + count > len(raw):
                raise ValueError("a part of a storage that is not in it")
            raw = raw[begin : begin + count]
        return raw, wanted.dtype

    def _read(self, wanted: StorageId) -> bytes:
        raise ValueError("weights that are not in the file")

    def _native(self, raw: bytes, dtype: torch.dtype | None) -> bytes:
        width = 1 if dtype is None else dtype.itemsize // (2 if dtype.is_complex else 1)
        if self._big == (sys.byteorder == "big") or width == 1:
            return raw
        return np.frombuffer(raw, np.uint8).reshape(-1, width)[:, ::-1].tobytes()


def _width(storage: StorageId) -> int:
    return 1 if storage.dtype is None else storage.dtype.itemsize


def read_checkpoint(path: Path) -> Checkpoint:
    """A file with weights; nothing in it is run.

    Raises:
        InputError: it cannot be read, is damaged, of a kind that holds no weights by name, or asks to run something.
    """
    with open_regular(path) as file, reading(path, CHECKPOINT):
        head = file.read(512)
        file.seek(0)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if head.startswith(b"PK"):
            return _read_zip(path, file)
        if head[257:262] == b"ustar":
            raise InputError(
                f"{path}: is a checkpoint of PyTorch before 0.2 (a tar archive); load it with an old PyTorch and save it again"
            )
        if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < min(size, _LARGEST_HEADER):
            return _read_safetensors(_whole(file, size))
        if head.startswith(_PICKLES):
            return _read_stream(path, _whole(file, size))
        kind = kind_of_bytes(head) or "of another kind"
        raise InputError(f"{path}: no checkpoint of PyTorch (the file is {kind}); fetch it again")


def _whole(file: BinaryIO, size: int) -> bytes:
    if size > LARGEST:
        raise ValueError(f"it has {size} bytes, more than the {LARGEST} that are read of a file of this kind")
    return file.read()


def _read_safetensors(data: bytes) -> Checkpoint:
    from safetensors.torch import load

    return _Tensors(load(data))


# -- zip -------------------------------------------------------------------------------------------------------------------


class _Zip(_Pickle):
    """The storages of a zip archive; they are read when they are asked for, so the archive stays in memory as bytes."""

    def __init__(self, archive: "_Archive", root: str, pickled: Pickled, *, big_endian: bool) -> None:
        super().__init__(pickled, big_endian=big_endian)
        self._archive, self._root = archive, root

    def _read(self, wanted: StorageId) -> bytes:
        if wanted.numbers < 0:
            raise ValueError(f"a storage of {wanted.numbers} numbers")
        return self._archive.member(f"{self._root}/data/{wanted.key}", wanted.numbers * _width(wanted))


class _Archive:
    """A zip archive whose members are read by size."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self.names = tuple(self._zip.namelist())

    def member(self, name: str, size: int | None = None, most: int = LARGEST) -> bytes:
        """The bytes of a member: `size` of them, or all if it is None, at most `most`.

        Raises:
            ValueError: it has fewer, or more than `most`.
            BadZipFile: its checksum is another.
        """
        info = self._zip.getinfo(name)
        wanted = info.file_size if size is None else size
        if wanted > most or wanted > info.file_size:
            raise ValueError(f"{name} has {info.file_size} bytes where {min(wanted, most)} are expected")
        if info.compress_type != zipfile.ZIP_STORED:  # somebody has packed the archive again
            with self._zip.open(info) as file:
                return file.read(wanted)
        begin = info.header_offset
        lengths = struct.unpack("<HH", self._data[begin + 26 : begin + 30])
        begin += 30 + sum(lengths)
        raw = self._data[begin : begin + info.file_size]
        if len(raw) != info.file_size:
            raise EOFError(f"{name} ends too early")
        # torch.serialization.set_crc32_options(False) leaves the checksums out, as zeros.
        if info.CRC and zlib.crc32(raw) != info.CRC:
            raise zipfile.BadZipFile(f"{name} does not have its checksum")
        return raw[:wanted]


def _read_zip(path: Path, file: BinaryIO) -> Checkpoint:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    archive = _Archive(_whole(file, size))
    roots = [name.removesuffix("/data.pkl") for name in archive.names if re.fullmatch(r"[^/]+/data\.pkl", name)]
    scripted = [n for n in archive.names if n.endswith("/constants.pkl") or re.fullmatch(r"[^/]+/code/.*", n)]
    if scripted:
        raise InputError(
            f"{path}: is a TorchScript archive (torch.jit.save), which holds a program; load it with torch.jit.load, "
            f"{SAVE_THE_STATE}"
        )
    if len(roots) != 1:
        raise InputError(f"{path}: {_other_archive(archive.names)}")
    root = roots[0]
    order = archive.member(f"{root}/byteorder", most=64) if f"{root}/byteorder" in archive.names else b"little"
    pickled = read_pickled(io.BytesIO(archive.member(f"{root}/data.pkl", most=_LARGEST_PICKLE)))
    _refuse_programs(path, pickled)
    return _Zip(archive, root, pickled, big_endian=order == b"big")


def _other_archive(names: tuple[str, ...]) -> str:
    """What a zip archive is that `torch.save` did not write."""
    there = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return f"is an archive of torch.export, which holds a program; {SAVE_THE_STATE}"
    if names and all(name.endswith(".npy") for name in names):
        return "is an .npz archive of arrays, no checkpoint of PyTorch; is it the right file?"
    weights = [name for name in names if name.lower().endswith((".pth", ".pt", ".ckpt", ".safetensors"))]
    if weights:
        return f"is a zip archive with {weights[0]} in it; unpack it and give that"
    return f"is a zip archive, but none that torch.save writes (it holds {there or 'nothing'}); is it the right file?"


# -- before PyTorch 1.6, and pickle.dump ---------------------------------------------------------------------------------


class _Stream(_Pickle):
    """The storages that lie behind the pickles of a file."""

    def __init__(self, pickled: Pickled, storages: Mapping[str, tuple[int, int]], data: bytes, *, big: bool) -> None:
        super().__init__(pickled, big_endian=big)
        self._places, self._data = storages, data

    def _read(self, wanted: StorageId) -> bytes:
        begin, numbers = self._places[wanted.key]
        raw = self._data[begin : begin + numbers * _width(wanted)]
        if len(raw) != numbers * _width(wanted):
            raise EOFError("its weights end too early")
        return raw


def _read_stream(path: Path, data: bytes) -> Checkpoint:
    first = read_pickled(io.BytesIO(data))
    if first.value == _MAGIC:
        return _stream(data, path)
    _refuse_programs(path, first)
    return _Pickle(first)  # pickle.dump wrote it, without torch.save


def _stream(data: bytes, path: Path | None = None) -> _Stream:
    """The pickle of a file of before PyTorch 1.6: magic number, version, system, pickle, keys of storages, storages."""
    file = io.BytesIO(data)
    if read_pickled(file).value != _MAGIC:
        raise ValueError("no file of torch.save")
    read_pickled(file)  # the format's version
    little = dict(getattr(read_pickled(file).value, "pairs", [])).get("little_endian", True)
    pickled = read_pickled(file)
    if path is not None:
        _refuse_programs(path, pickled)
    keys = read_pickled(file).value
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("its list of storages is damaged")
    # Whole networks also name the source of their classes there.
    storages = [storage_id(one) for one in pickled.outside if isinstance(one.id, tuple) and one.id[:1] == ("storage",)]
    widths = {one.key: _width(one) for one in storages}
    places: dict[str, tuple[int, int]] = {}
    at = file.tell()
    for key in keys:
        (numbers,) = struct.unpack("<q" if little else ">q", data[at : at + 8])
        if not 0 <= numbers <= len(data):
            raise ValueError(f"a storage of {numbers} numbers")
        places[key] = (at + 8, numbers)
        at += 8 + numbers * widths.get(key, 1)
    return _Stream(pickled, places, data, big=not little)


def _refuse_programs(path: Path, pickled: Pickled) -> None:
    for one in pickled.globals:
        if one.could_run:
            raise InputError(
                f"{path}: asks to run {one}, which no network needs; nothing of it was run, do not use this file"
            )
