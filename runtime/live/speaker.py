"""Whether somebody else speaks: the newest speech of the window against the rest of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.front_end import Speech

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Change:
    """Another speaker.

    Attributes:
        voiced: samples of speech in the window before the new speaker's.
        score: the evidence, above 0.
    """

    voiced: int
    score: float


class SpeakerWatch:
    """Judges windows of one stream in turn."""

    def restart(self) -> None:
        """Another speaker's window begins."""

    def judge(self, speech: Speech, columns: Float32) -> Change | None:
        """Compares the two parts of a window; `columns` float32 [E, C] are the voice encoder's."""
        return None
