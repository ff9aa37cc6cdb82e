"""Reader of `.npz` archives that skips the pickles in them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The numeric arrays of an `.npz`; arrays of Python objects, which are stored as pickles, are skipped unread.

    Raises:
        InputError: the file is unreadable or damaged.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: a single array, not an .npz archive of a face model")
        with archive as z:
            for name in z.files:
                if not _holds_objects(z, name):
                    arrays[name] = z[name]
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds of errors on damaged archives
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: a damaged or unreadable .npz ({reason}); fetch it again") from error
    return arrays


def _holds_objects(archive: Any, name: str) -> bool:
    """Whether an entry holds Python objects, according to its header."""
    with archive.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = read(file)
    return bool(dtype.hasobject)
