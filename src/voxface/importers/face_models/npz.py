"""Reader of `.npz` archives that skips the pickles in them."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from voxface.runtime.files import npz
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import read_bytes


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric arrays of an `.npz`; arrays of Python objects, which are stored as pickles, are skipped unread.

    Raises:
        InputError: the file is unreadable or damaged.
    """
    data = read_bytes(path)
    with reading(path, "an .npz archive"):
        return npz.read_npz(data)
