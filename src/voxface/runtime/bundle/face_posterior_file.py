"""The file of the face posterior: an .npz archive of the arrays of `FacePosteriorWeights`, real numbers in FP16."""

import io
import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from voxface.runtime.errors import BundleError
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.npz import most_in_bundle, read_npz, to_float32

if TYPE_CHECKING:
    from voxface.runtime.config.face_posterior import FacePosteriorWeights

FACE_POSTERIOR: Final = "face_posterior.npz"
_STORED: Final = {  # array -> kinds of numbers that it may have, type in the file, type in memory
    "unexplained": ("f", np.float16, np.float32),
    "population": ("f", np.float16, np.float32),
    "errors": ("f", np.float16, np.float32),
    "error_sex": ("iu", np.uint8, np.uint8),
    "error_speaker": ("iu", np.uint32, np.int64),
}


@dataclass(frozen=True, eq=False)
class FacePosteriorFile:
    """The part of a bundle as it is stored. It is read when it is first asked for, because most runs need none of it.

    Attributes:
        where: the bundle's path and the file's name, for messages.
        data: the bytes of the file.
    """

    where: str
    data: bytes

    @cached_property
    def weights(self) -> "FacePosteriorWeights":
        """What it holds.

        Raises:
            BundleError: see `read_face_posterior`.
        """
        try:
            return read_face_posterior(self.data)
        except BundleError as error:
            raise BundleError(f"{self.where}: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the bytes, which another process reads anew."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def read_face_posterior(data: bytes) -> "FacePosteriorWeights":
    """The weights, widened to FP32.

    Raises:
        BundleError: the bytes are no such archive, or its arrays do not fit each other or are not finite.
    """
    from voxface.runtime.config.face_posterior import FacePosteriorWeights  # bundles are opened without

    try:
        arrays = read_npz(data, tuple(_STORED), most=most_in_bundle(len(data)))
        for name, (kinds, _, _) in _STORED.items():
            if arrays[name].dtype.kind not in kinds:
                raise ValueError(f"{name} holds {arrays[name].dtype}")
        speakers = arrays["error_speaker"]
        if speakers.size and int(speakers.max()) > np.iinfo(np.uint32).max:  # before it is made narrower
            raise ValueError("error_speaker holds numbers beyond 32 bits")
        if arrays["error_sex"].size and not 0 <= int(arrays["error_sex"].min()) <= int(arrays["error_sex"].max()) <= 1:
            raise ValueError("error_sex holds other numbers than 0 and 1")
        read: dict[str, Any] = {
            name: to_float32(arrays[name]) if kind is np.float32 else arrays[name].astype(kind)
            for name, (_, _, kind) in _STORED.items()
        }
        return FacePosteriorWeights(**read)  # which refuses infinity
    except DAMAGE as error:
        raise BundleError(f"not a face posterior: {reason(error)}; export or download it again") from error


def write_face_posterior(weights: "FacePosteriorWeights") -> bytes:
    """The bytes that `read_face_posterior` reads; the same weights give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (_, kind, _) in _STORED.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(getattr(weights, name), kind), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), entry.getvalue(), zipfile.ZIP_DEFLATED
            )
    return out.getvalue()
