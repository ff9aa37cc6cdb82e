"""Speaker encoders of others that a voice encoder can learn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Final

RESEMBLYZER: "Final" = "resemblyzer"


class Teacher(Protocol):
    """A speaker encoder of others."""

    @property
    def name(self) -> str:
        """What it is, with its licence where that is known, for the model card."""
        ...

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def piece(self) -> int:
        """Samples at 16 kHz that a vector is of."""
        ...

    def vectors(self, samples: NDArray[np.int16], every: int) -> NDArray[np.float32]:
        """Unit vectors float32 [P, size] of the pieces that begin every `every` frames of 10 ms; short sound is repeated."""
        ...


def load_teacher(said: str) -> Teacher:
    """The teacher called "resemblyzer", or that of a file: resemblyzer's weights, or an ONNX speaker encoder.

    Raises:
        ProviderError: a package that it needs is not installed.
        InputError: the file is not there, or holds something else.
    """
    from voxface.training.voices.resemblyzer import load_resemblyzer

    if said == RESEMBLYZER:
        return load_resemblyzer()
    path = Path(said)
    if path.suffix.lower() == ".onnx":
        from voxface.training.voices.onnx_teacher import OnnxTeacher

        return OnnxTeacher(path)
    return load_resemblyzer(path)
