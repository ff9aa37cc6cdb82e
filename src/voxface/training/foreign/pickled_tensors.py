"""PyTorch tensors in pickles: calls that rebuild them, and the storages that these name.

What is read is what `torch.save` writes (torch/_utils.py, `_rebuild_*`; torch/storage.py); sizes are compared with the storage
before memory is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

from voxface.training.foreign.pickled_arrays import array_of
from voxface.training.foreign.pickles import Global, Made, Persistent

# Bytes of a storage, and the type of its numbers; None for an untyped one.
Storages = Callable[[Any], tuple[bytes, torch.dtype | None]]
_TYPES: Final = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexDouble": torch.complex128, "ComplexFloat": torch.complex64,
}  # fmt: skip
_TENSORS: Final = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_TYPED: Final = "torch._utils._rebuild_tensor_v3"  # of an untyped storage
_PARAMETERS: Final = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_SUBCLASS: Final = "torch._tensor._rebuild_from_type_v2"
FROM_BYTES: Final = "torch.storage._load_from_bytes"  # of pickle.dump, without torch.save
_FROM_ARRAY: Final = "torch._utils._rebuild_device_tensor_from_numpy"
_DEEPEST: Final = 4  # wrappers about a tensor
_EXPANDED: Final = 1 << 24  # numbers of a tensor that repeats its storage
# Tensors whose numbers are not simply there, by the call that rebuilds them.
_OTHERS: Final = {
    "_rebuild_qtensor": "a quantised tensor",
    "_rebuild_sparse_tensor": "a sparse tensor",
    "_rebuild_sparse_csr_tensor": "a sparse tensor",
    "_rebuild_nested_tensor": "a nested tensor",
    "_rebuild_meta_tensor_no_storage": "a tensor without numbers (of the device meta)",
    "_rebuild_wrapper_subclass": "a tensor of a class of its own",
}


@dataclass(frozen=True, slots=True)
class StorageId:
    """A storage that a pickle names.

    Attributes:
        key: its key in the file.
        dtype: type of its numbers; None for an untyped one.
        numbers: how many it has; bytes, if it is untyped.
        view: offset and number of the part that is meant, in old files; None for all of it.
    """

    key: str
    dtype: torch.dtype | None
    numbers: int
    view: tuple[int, int] | None = None


class OtherTensor(ValueError):
    """A tensor of a kind whose numbers are not simply there."""


def is_tensor(value: Any) -> bool:
    """Whether a value of a pickle would be a tensor, or a NumPy array, which is as good."""
    if not isinstance(value, Made) or not isinstance(value.callee, Global):
        return False
    if value.callee.module == "torch._utils" and value.callee.name.startswith("_rebuild"):
        return True
    return value.is_of(_SUBCLASS) or (value.callee.module.split(".")[0] == "numpy" and array_of(value) is not None)


def tensor_of(value: Any, storages: Storages, depth: int = 0) -> Tensor:
    """The tensor that a value of a pickle stands for, on the CPU, with memory of its own.

    Raises:
        OtherTensor: it is quantised, sparse and the like.
        ValueError: it is no tensor, or does not fit its storage.
    """
    if not isinstance(value, Made) or not isinstance(value.callee, Global) or depth > _DEEPEST:
        raise ValueError("no tensor")
    arguments = value.arguments
    if value.is_of(*_TENSORS, _TYPED):
        return _rebuilt(arguments, storages, typed=value.is_of(_TYPED))
    if value.is_of(*_PARAMETERS):
        return tensor_of(arguments[0], storages, depth + 1)
    if value.is_of(_SUBCLASS):  # (function, class, its arguments, state)
        return tensor_of(Made(arguments[0], arguments[2]), storages, depth + 1)
    array = array_of(arguments[0] if value.is_of(_FROM_ARRAY) else value)
    if array is None:
        raise OtherTensor(_OTHERS.get(value.callee.name, f"made by {value.callee}, which is not known"))
    native: NDArray[Any] = array.astype(array.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(native)


def _rebuilt(arguments: tuple[Any, ...], storages: Storages, *, typed: bool) -> Tensor:
    storage, offset, size, stride = arguments[0], arguments[1], _whole(arguments[2]), _whole(arguments[3])
    raw, dtype = storages(storage)
    if typed:
        dtype = _dtype(arguments[6])
    if dtype is None:
        raise ValueError("a tensor without a type")
    there = len(raw) // dtype.itemsize
    if not isinstance(offset, int) or len(size) != len(stride) or min((offset, *size, *stride), default=0) < 0:
        raise ValueError(f"a tensor of size {size} and stride {stride} from {offset!r} on")
    count = 1
    for n in size:
        count *= n
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and last >= there:
        raise ValueError(f"a tensor of size {list(size)} whose storage has {there} numbers")
    if count > max(there, _EXPANDED):
        raise ValueError(f"a tensor of {count} numbers whose storage has {there}")
    if not count:
        return torch.empty(size, dtype=dtype)
    flat = torch.frombuffer(bytearray(raw), dtype=dtype, count=there)
    return flat.as_strided(size, stride, offset).clone()


def storage_id(value: Any) -> StorageId:
    """What a pickle says of a storage.

    Raises:
        ValueError: it is no storage, or one of another kind.
    """
    if not isinstance(value, Persistent) or not isinstance(value.id, tuple) or len(value.id) < 5:
        raise ValueError("a tensor without a storage")
    kind, type_, key, _, numbers, *rest = value.id
    if kind != "storage" or not isinstance(type_, Global) or not isinstance(key, str) or not isinstance(numbers, int):
        raise ValueError("a storage that is not described as one")
    view = rest[0] if rest else None
    if view is not None and not (
        isinstance(view, tuple) and len(view) == 3 and all(isinstance(n, int) for n in view[1:])
    ):
        raise ValueError("a part of a storage that is not described as one")
    return StorageId(key, _storage_type(type_), numbers, None if view is None else (view[1], view[2]))


def _storage_type(type_: Global) -> torch.dtype | None:
    name = type_.name.removesuffix("Storage")
    if type_.module.split(".")[0] != "torch" or name == type_.name:
        raise ValueError(f"a storage of the type {type_}")
    if name in ("Untyped", ""):
        return None
    if name not in _TYPES:
        raise OtherTensor(f"a tensor of {type_.name}")
    return _TYPES[name]


def _dtype(value: Any) -> torch.dtype:
    found = getattr(torch, value.name, None) if isinstance(value, Global) and value.module == "torch" else None
    if not isinstance(found, torch.dtype):
        raise ValueError(f"a tensor of the type {value}")
    return found


def _whole(value: Any) -> tuple[int, ...]:
    """A size or stride: a tuple of whole numbers, or a `torch.Size` of one."""
    if isinstance(value, Made) and value.is_of("torch.Size") and len(value.arguments) == 1:
        value = value.arguments[0]
    if not isinstance(value, tuple | list) or not all(isinstance(n, int) for n in value) or len(value) > 16:
        raise ValueError("a size that is no tuple of whole numbers")
    return tuple(value)
