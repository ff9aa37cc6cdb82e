"""The file of the speaker embedding network: an .npz archive of `weight0`, `bias0` … `weight4`, `bias4` in FP16."""

import io
from typing import Any, Final

import numpy as np

from voxface.runtime.config.speaker_change import Layers, check_layers
from voxface.runtime.errors import BundleError
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.npz import most_in_bundle, read_npz, to_float32

SPEAKER_EMBEDDING: Final = "speaker_embedding.npz"


def read_layers(data: bytes) -> Layers:
    """The layers of the network, widened to FP32.

    Raises:
        BundleError: the bytes are no such archive, or the layers do not fit each other or are not finite.
    """
    try:
        arrays = read_npz(data, most=most_in_bundle(len(data)))
        layers = tuple(
            (to_float32(arrays[f"weight{k}"]), to_float32(arrays[f"bias{k}"])) for k in range(len(arrays) // 2)
        )
        check_layers(layers)  # which refuses what is not finite
    except DAMAGE as error:
        raise BundleError(f"not a speaker embedding network: {reason(error)}; export or download it again") from error
    return layers


def write_layers(layers: Layers) -> bytes:
    """The bytes that `read_layers` reads, in FP16."""
    arrays: dict[str, Any] = {}
    for k, (weight, bias) in enumerate(layers):
        arrays |= {f"weight{k}": weight.astype(np.float16), f"bias{k}": bias.astype(np.float16)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
