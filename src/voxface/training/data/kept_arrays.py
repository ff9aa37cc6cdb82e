"""Arrays that a training has made, kept in its folder: a resumed run takes them from there if they are what was written.

They change what is learnt, so their file holds the digest of what they were made from (key) and of themselves (sha256). Files
of earlier versions, without `sha256`, are read as well.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.atomic import write_bytes

_KEY: Final = "key"
_SHA256: Final = "sha256"


def digest_of(arrays: Mapping[str, NDArray[Any]], key: str = "") -> str:
    """SHA-256 of arrays: names, types, shapes and values, and of `key`."""
    digest = hashlib.sha256(key.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_kept(file: Path, key: str, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> None:
    """Writes the file, whole or not at all; `key`: a digest of all that the arrays were made from.

    Raises:
        InputError: it cannot be written.
    """
    out = io.BytesIO()
    about = {_KEY: key, _SHA256: digest_of(arrays, key)}
    written = {**arrays, **{name: np.frombuffer(text.encode(), np.uint8) for name, text in about.items()}}
    (np.savez_compressed if compressed else np.savez)(out, **written)  # type: ignore[arg-type]
    try:
        write_bytes(file, out.getvalue())
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error})") from error


def read_kept(
    file: Path, key: str, names: Sequence[str], say: Callable[[str], None] = lambda _: None
) -> dict[str, NDArray[Any]] | None:
    """The arrays of these names; None where there is no file, one of another `key`, or a damaged one: `say` is told of it."""
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            if _KEY in kept and kept[_KEY].tobytes() != key.encode():
                return None
            arrays = {name: kept[name] for name in names}
            if _SHA256 in kept and kept[_SHA256].tobytes() != digest_of(arrays, key).encode():
                raise ValueError("is not what was written")
    except Exception as error:  # an archive that is damaged makes numpy and zipfile raise errors of many kinds
        say(f"{file}: cannot be used ({' '.join(str(error).split()) or type(error).__name__}) and is made again")
        return None
    return arrays
