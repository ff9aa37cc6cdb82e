"""Meshes as text in a page: whole numbers in base64, little-endian as browsers read them."""

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray


def base64(data: bytes) -> str:
    """Bytes as base64, letters of ASCII."""
    return b64encode(data).decode("ascii")


def packed(values: NDArray[np.floating]) -> dict[str, Any]:
    """Numbers of any shape as {"step", "values"}: int16 multiples of a step that is as small as holds the largest of them.

    A head in millimetres is then right to 0.005 mm.
    """
    largest = float(np.abs(values).max(initial=0.0))
    step = largest / 32767 if largest > 0 else 1.0
    return {"step": step, "values": base64(np.rint(values / step).astype("<i2").tobytes())}


def packed_topology(triangles: NDArray[np.int32], albedo: NDArray[np.float32]) -> dict[str, Any]:
    """What all meshes of a model share: triangles uint32 [3 F], colours uint8 [3 N], sRGB.

    Args:
        triangles: int32 [F, 3].
        albedo: float32 [N, 3] in [0, 1].
    """
    colours = np.rint(np.clip(albedo, 0, 1) * 255).astype(np.uint8)
    return {"triangles": base64(triangles.astype("<u4").tobytes()), "colours": base64(colours.tobytes())}
