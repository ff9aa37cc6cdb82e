"""Datasets of HDF5 files whose numbers lie in the file itself.

A dataset may be a window on other files (external storage, virtual datasets), and a name may lead to another file (external
links). A model that did so would put bytes of this machine's files into the bundle that is made of it.
"""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.regular import LARGEST

_LINKS: Final = 8  # soft links from one to the next
_LARGEST_CHUNK: Final = 1 << 30  # bytes; HDF5 takes memory for a whole chunk


def own_dataset(path: Path, file: Any, name: str) -> Any:
    """The dataset of a name in an open h5py file, or None; soft links within the file are followed.

    Raises:
        InputError: a link to another file, links in a circle, or a dataset whose numbers lie in other files.
    """
    import h5py

    found, left, followed = file, [part for part in name.split("/") if part], 0
    while left:
        part = left.pop(0)
        if part in (".", ""):
            continue
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(part, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.SoftLink):
            followed += 1
            if followed > _LINKS:
                raise InputError(f"{path}: {name} is a link that leads on and on; do not use this file")
            left = [*link.path.split("/"), *left]
            found = file if link.path.startswith("/") else found
        elif isinstance(link, h5py.HardLink):
            found = found[part]
        else:
            where = f" ({link.filename})" if isinstance(link, h5py.ExternalLink) else ""
            raise InputError(f"{path}: {name} is a link to another file{where}; give a model that is whole in one file")
    if not isinstance(found, h5py.Dataset):
        return None
    if found.is_virtual or found.external:
        raise InputError(f"{path}: the numbers of {name} lie in other files; give a model that is whole in one file")
    return found


def read_dataset(name: str, dataset: Any, columns: int | None = None) -> NDArray[Any]:
    """The numbers of a dataset, or its first columns, after its size was compared with what is reasonable.

    Raises:
        ValueError: it is larger.
        Exception: another one of `damage.DAMAGE`; call it within `damage.reading`.
    """
    width = dataset.dtype.itemsize
    shape = dataset.shape if columns is None else (dataset.shape[0], min(columns, dataset.shape[1]))
    if math.prod(shape) * width > LARGEST or math.prod(dataset.chunks or (0,)) * width > _LARGEST_CHUNK:
        raise ValueError(f"{name} says that it has {list(dataset.shape)} numbers")
    return np.asarray(dataset[()] if columns is None else dataset[:, :columns])
