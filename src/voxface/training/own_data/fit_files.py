"""Names of the files of Voxceleb-3D; what stands in them is `voxceleb_3d`'s."""

from pathlib import Path
from typing import Final

PARAMETERS: Final = ".npy"
VERTICES: Final = ".xyz"
SUFFIXES: Final = (PARAMETERS, VERTICES)
_OVERLAY: Final = "_b"


def is_overlay(picture: Path) -> bool:
    """Whether a picture NAME_b.jpg shows the mesh of NAME drawn over a face: no photograph to learn from."""
    name = picture.stem.removesuffix(_OVERLAY)
    return name != picture.stem and any(picture.with_name(name + suffix).exists() for suffix in SUFFIXES)
