"""A window of the log-mel frames of a stream, and the contract that windows of one stream keep."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FrameWindow:
    """Neighbouring log-mel frames of the speech of one stream.

    Windows that follow one another in a stream keep a contract: `first` never falls, and for one speaker it rises by multiples
    of `STRIDE` (32 frames, the step between two frame embeddings of the voice encoder). So whatever is computed every 32
    frames stands at the same places of the stream as in the window before, and what is known of a place is used again.

    Attributes:
        first: number of the first frame, counted from 0 over all speech of the stream.
        frames: float32 [T, mels], before normalisation.
        final: how many of the frames, from the first, are the same in every later window that holds them. The frames after
            them, at most `PROVISIONAL`, repeat the newest samples and change when the sound goes on.
    """

    first: int
    frames: NDArray[np.float32]
    final: int

    @classmethod
    def whole(cls, frames: NDArray[np.float32]) -> Self:
        """All frames float32 [T, mels] of a stream that has ended."""
        return cls(0, frames, len(frames))
